"""Print what the project depends on, one requirement a line: for image layers without its code."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = [line for name in sys.argv[1:] for line in project["optional-dependencies"][name]]
sys.stdout.writelines(f"{line}\n" for line in [*project["dependencies"], *extras])

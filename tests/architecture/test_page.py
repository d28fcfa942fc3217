"""What docs/architecture.md names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
TOP = "schemas|features|terminal|services|training|models|tests|benchmarks|deploy|docs"
PATHS = sorted(set(re.findall(rf"`((?:{TOP})/[\w./-]*)`", PAGE)))


def test_every_path_on_the_page_exists() -> None:
    assert len(PATHS) > 40
    assert [path for path in PATHS if not (ROOT / path).exists()] == []


def test_every_room_is_on_the_page() -> None:
    rooms = {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")}
    table = PAGE.partition("\n## Rooms\n")[2].partition("\n## ")[0]
    assert len(rooms) > 10
    assert {room for room in rooms if f"{room}/`" not in table} == set()

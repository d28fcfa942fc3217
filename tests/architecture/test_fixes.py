"""Each fix of an upstream fault is on the page, and names a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
FOLDER = ROOT / "services/kafka"
MODULES = sorted([*FOLDER.glob("*_fixes.py"), FOLDER / "latest_table.py"])
#: A file of tests, and perhaps one in it; or one by its name alone, in the module's own tests.
_TEST = re.compile(r"``(?:(tests/[\w/]+\.py)(?:::)?)?(test_\w+)?``")


def _docstring(module: Path) -> str:
    return ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""


def _named(module: Path) -> list[tuple[str, str]]:
    own = f"tests/kafka/test_{module.stem}.py"
    found = _TEST.findall(_docstring(module))
    return [(file or own, test) for file, test in found if file or test]


def test_the_page_lists_every_module_of_fixes() -> None:
    rows = re.findall(r"^\| `(services/kafka/\w+\.py)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == [str(module.relative_to(ROOT)) for module in MODULES]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_fix_names_tests_that_exist(module: Path) -> None:
    named = _named(module)
    assert named
    for file, test in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE) or not test, (file, test)


@pytest.mark.parametrize(("stem", "count"), [("faust_fixes", 11), ("aiokafka_fixes", 3)])
def test_each_fix_of_a_list_names_one(stem: str, count: int) -> None:
    """A paragraph a fix: it begins at the margin, the rest of it is indented."""
    paragraphs = re.split(r"\n(?=\S)", _docstring(FOLDER / f"{stem}.py"))
    fixes = [text for text in paragraphs if re.search(r"\n    ", text)]
    assert len(fixes) >= count
    for fix in fixes:
        assert re.search(r"``\S*test_\w+\S*``", fix), fix

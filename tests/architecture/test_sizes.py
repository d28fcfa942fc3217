"""Files, classes and functions stay small enough to be read."""

import ast
import statistics
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "features", "terminal", "services", "training")
FILES = sorted(
    path for room in ROOMS for kind in ("py", "js") for path in (ROOT / room).rglob(f"*.{kind}")
)
TREES = [ast.parse(path.read_text(encoding="utf-8")) for path in FILES if path.suffix == ".py"]
MAX_LINES = 400
MAX_METHODS = 20
MEDIAN_LINES = 6
P90_LINES = 20


def _nodes() -> Iterator[ast.AST]:
    return chain.from_iterable(map(ast.walk, TREES))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[ast.get_docstring(function) is not None :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert len(lengths) > 200
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MAX_LINES}
    assert not long


def test_no_class_has_many_methods() -> None:
    classes = [node for node in _nodes() if isinstance(node, ast.ClassDef)]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    methods = {c.name: sum(isinstance(child, kinds) for child in c.body) for c in classes}
    assert len(methods) > 200
    assert not {name: count for name, count in methods.items() if count > MAX_METHODS}


def test_functions_are_short() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    lines = [_body_lines(node) for node in _nodes() if isinstance(node, kinds)]
    assert statistics.median(lines) <= MEDIAN_LINES
    assert statistics.quantiles(lines, n=10)[-1] <= P90_LINES


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f(): ...", 1),
        ('def f():\n    """Text."""\n', 0),
        ('def f():\n    "T"\n    a\n    b', 2),
    ],
)
def test_lines_of_a_body_are_those_without_its_docstring(source: str, lines: int) -> None:
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert _body_lines(function) == lines

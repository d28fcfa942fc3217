from features.formats.table import FORMATS
from features.generate_formats import FILE, document


def test_the_page_is_that_of_the_table() -> None:
    assert FILE.read_text(encoding="utf-8") == document()


def test_every_format_has_a_row() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(FORMATS)

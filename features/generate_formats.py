"""Write ``docs/formats.md`` from the table of formats: ``python -m features.generate_formats``."""

from pathlib import Path
from typing import Final

from features.formats.table import FORMATS, Format

FILE: Final = Path(__file__).parents[1] / "docs" / "formats.md"
_HEAD: Final = """\
# Audio formats

Generated from `features/formats/table.py` by `make formats`: change the table instead.

`classify`, `extract`, `produce` and messages recognise a format by its first bytes, not by its
name.

Heard by genrestream: its own walk over frames, pages or chunks finds what a file holds; libsndfile,
dr_flac or ffmpeg decodes it; the two are compared. What cannot be heard is refused with the place
and the remedy, or counted as left out.

Heard by ffmpeg: the one on PATH, or that of `pip install 'genrestream[ffmpeg]'`. Without one, such
a file is refused by its name. Messages reach an ffmpeg inside a worker only where a setting says so
(`genrestream settings`).

| format | file names | content types | heard by | `produce --codec` |
|---|---|---|---|---|
"""
_TAIL: Final = """
Raw PCM has no first bytes. Its content type says what it is:
`audio/pcm;rate=…;channels=…;encoding=…` (`s16le` or `f32le`) or `audio/L16;rate=…;channels=…`.
"""


def document() -> str:
    """Return the page."""
    return _HEAD + "".join(_row(row) for row in FORMATS) + _TAIL


def _row(row: Format) -> str:
    suffixes, types = (", ".join(f"`{x}`" for x in xs) for xs in (row.suffixes, row.media_types))
    heard_by = "genrestream" if row.walk and not row.by_ffmpeg else "ffmpeg"
    codec = f"`{row.name}`" if row.written else ""
    return f"| {row.title} | {suffixes} | {types} | {heard_by} | {codec} |\n"


def main() -> None:
    """Write the page."""
    FILE.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()

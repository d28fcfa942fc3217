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

Heard by ffmpeg: the one on PATH, or that of `pip install -e '.[ffmpeg]'`. Without one, such
a file is refused by its name. Messages reach an ffmpeg inside a worker only where a setting says so
(`genrestream settings`). Besides these, `classify`, `extract` and `produce` let ffmpeg try whatever
is not recognised, but for playlists, pictures and text. In Ogg, Speex is heard by ffmpeg; in WAV,
AIFF and CAF what libsndfile does not know (AAC, WMA, G.722, G.726 and others).

| format | file names | content types | heard by | `produce --codec` |
|---|---|---|---|---|
"""
_TAIL: Final = """
Limits: 1 to 384 kHz and up to 64 channels, of which the mean is heard (ffmpeg makes two of more
than two); in a file two that cancel each other out are heard by the first one alone, in a message,
which may be cut anywhere, their mean is silence. A message has at most 5 MB and 15 minutes of
audio, a file a day; above 48 kHz or two channels less. Joined files, links of a chain, changes of
rate and channels are heard one after the other, at the first one's rate, up to 1,000 in a file.
Whatever lies between is left out and noted with its place. Ogg from which the beginning is missing,
and MP4 without its index, are refused: nobody can decode them.

Raw PCM has no first bytes. Its content type says what it is:
`audio/pcm;rate=…;channels=…;encoding=…` (`s16le` or `f32le`) or `audio/L16;rate=…;channels=…`.
The messages of a stream may cut it between any two bytes.
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

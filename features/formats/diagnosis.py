"""Say what bytes are that are no audio that we know, and what to do about it."""

import re
from typing import Final

from features.formats.table import BY_NAME, WRITTEN

_HEAD_BYTES: Final = 8
_TEXT_BYTES: Final = 512
#: What people send for audio: first bytes, and what they are.
_NO_AUDIO: Final = (
    (rb"\s*(?:<!doctype|<html|<\?xml|<head|<body)", "a page of the web, not the audio behind it"),
    (rb"\s*(?:#EXTM3U|\[playlist\]|https?://|#EXTINF)", "a playlist, which names audio elsewhere"),
    (rb"\s*[{\[]\s*[\"\[{\]}]", "JSON"),
    (rb"\xff\xd8\xff|\x89PNG|GIF8|BM[\0-\xff]{4}\0\0\0\0", "a picture"),
    (rb"PK\x03\x04", "a ZIP archive: unpack it"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "a compressed file: unpack it"),
    (rb"%PDF", "a PDF"),
    (rb"\0\x05\x16\x07", "the AppleDouble of a file: its audio is in the file without ._"),
    (rb"MThd", "MIDI: notes, not sound"),
    (rb"\x7fELF|MZ", "a program"),
    (rb"RIFF[\0-\xff]{4}(?!WAVE|AVI )", "a RIFF file that holds no WAV"),
)
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{16,}\Z")
#: A page in the middle of a stream.
_LATER_PAGE: Final = re.compile(rb"OggS\0[\0\1\4\5]")


def what_it_is(head: bytes) -> str:
    """Say what a file is by its first bytes; an empty text where they do not tell."""
    if not any(head):
        return "nothing but zeros"
    for pattern, words in _NO_AUDIO:
        if re.match(pattern, head, re.IGNORECASE):
            return words
    if _LATER_PAGE.search(head):  # not at its start, so of a stream whose start is missing
        return "an Ogg whose beginning is missing, and with it what its decoder must know"
    head = head[:_TEXT_BYTES]
    is_text = _TEXT.match(head) and sum(byte < 0x80 for byte in head) > len(head) * 0.9
    return "text" if is_text else ""


def unknown(head: bytes, *, of_message: bool) -> str:
    """Return the refusal of bytes that are no audio that we know, with the remedy."""
    begins = head[:_HEAD_BYTES].hex(" ")
    words = what_it_is(head)
    *names, last = (BY_NAME[name].title.partition(" (")[0] for name in WRITTEN)
    known = f"{', '.join(names)} or {last}"
    if words:
        return f"it begins with {begins}: {words}; send audio, such as {known}"
    what = f"no known audio container begins with {begins}"
    if of_message:
        return (
            f"{what}: send {known}, or name raw PCM by content-type "
            "audio/pcm;rate=…;channels=…;encoding=s16le"
        )
    return (
        f"{what}: convert it to {known} (docs/formats.md lists what is heard besides); raw PCM has "
        "no head: genrestream produce - --pcm RATE:CHANNELS takes it"
    )

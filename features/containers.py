"""Recognise an audio container by its first bytes.

libsndfile guesses too, but takes almost any bytes with two set sync bytes for an MP3; here two
MPEG frames must follow each other before a message counts as one.
"""

from typing import Final

_MAGIC: Final = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b".snd", "au"),
    (b"RF64", "wav"),
)
#: ISO 11172-3 table of bit rates in kbit/s, layer III, by MPEG version 1 and 2 (and 2.5).
_BIT_RATES: Final = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_LAYER_3: Final = 1


def recognise(head: bytes) -> str | None:
    """Name the container that begins with these bytes, or ``None``.

    Parameters
    ----------
    head
        The first bytes of the audio; 4096 are enough.

    Returns
    -------
    ``wav``, ``flac``, ``ogg``, ``mp3``, ``aiff``, ``au`` or ``None``.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"ID3") or _begins_with_mpeg_frames(head):
        return "mp3"
    return None


def _begins_with_mpeg_frames(head: bytes) -> bool:
    length = _mpeg_frame_length(head[:4])
    if length is None:
        return False
    following = head[length : length + 4]
    return len(following) < 4 or _mpeg_frame_length(following) is not None


def _mpeg_frame_length(frame_header: bytes) -> int | None:
    """Return the length in bytes of an MPEG layer III frame, or ``None`` when it is not one."""
    if len(frame_header) < 4 or frame_header[0] != 0xFF or frame_header[1] & 0xE0 != 0xE0:
        return None
    version = frame_header[1] >> 3 & 3
    layer = frame_header[1] >> 1 & 3
    bit_rate_index = frame_header[2] >> 4
    sample_rate_index = frame_header[2] >> 2 & 3
    if version == 1 or layer != _LAYER_3 or bit_rate_index in (0, 15) or sample_rate_index == 3:
        return None
    generation = 1 if version == 3 else 2
    bit_rate = 1000 * _BIT_RATES[generation][bit_rate_index]
    sample_rate = _SAMPLE_RATES[version][sample_rate_index]
    padding = frame_header[2] >> 1 & 1
    return (144 if generation == 1 else 72) * bit_rate // sample_rate + padding

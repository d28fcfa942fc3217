"""What the first bytes of a stream say about its container and codec."""

from dataclasses import dataclass
from typing import Final

#: So many bytes are looked at.
START_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Container:
    """A container and codec.

    Attributes
    ----------
    name
        For people.
    demuxer
        What ffmpeg calls it; ``None`` where ffmpeg shall find out.
    is_ogg
        Whether it may be chained.
    """

    name: str
    demuxer: str | None
    is_ogg: bool = False


MP3: Final = Container("MP3", "mp3")
AAC: Final = Container("AAC (ADTS)", "aac")
FLAC: Final = Container("FLAC", "flac")
WAV: Final = Container("WAV", "wav")
MPEG_TS: Final = Container("MPEG-TS", "mpegts")
MATROSKA: Final = Container("Matroska or WebM", "matroska")
MP4: Final = Container("MP4", "mov")
_OGG_CODECS: Final = (
    (b"\x01vorbis", "Ogg Vorbis"),
    (b"OpusHead", "Ogg Opus"),
    (b"\x7fFLAC", "Ogg FLAC"),
    (b"Speex   ", "Ogg Speex"),
)
_BY_TYPE: Final = {
    "audio/mpeg": MP3,
    "audio/mp3": MP3,
    "audio/aac": AAC,
    "audio/aacp": AAC,
    "audio/x-aac": AAC,
}


def recognise(start: bytes, content_type: str = "") -> Container | None:
    """Tell the container by the first bytes, else by two frames that fit, else by the type.

    Returns
    -------
    ``None`` for what is no audio that we know, such as a page.
    """
    if known := _by_magic(start):
        return known
    framed = _by_frames(start)
    if framed:
        return framed
    if start.lstrip()[:1] in (b"<", b"{"):
        return None
    return _BY_TYPE.get(content_type.partition(";")[0].strip().lower())


def _by_magic(start: bytes) -> Container | None:
    if start.startswith(b"OggS"):
        names = [name for mark, name in _OGG_CODECS if mark in start[:512]]
        return Container(names[0] if names else "Ogg", "ogg", is_ogg=True)
    if start.startswith(b"ID3"):
        return AAC if _by_frames(start[_id3_bytes(start) :]) is AAC else MP3
    if start.startswith(b"RIFF") and start[8:12] == b"WAVE":
        return WAV
    if start[4:8] == b"ftyp":
        return MP4
    if start.startswith(b"\x1aE\xdf\xa3"):
        return MATROSKA
    if start.startswith(b"fLaC"):
        return FLAC
    is_ts = len(start) > 377 and start[0] == start[188] == start[376] == 0x47
    return MPEG_TS if is_ts else None


def _id3_bytes(start: bytes) -> int:
    if len(start) < 10:
        return 0
    size = 0
    for byte in start[6:10]:
        size = size << 7 | (byte & 0x7F)
    return 10 + size


def _by_frames(start: bytes) -> Container | None:
    """Look for an ADTS or MPEG header that another one follows where it says."""
    for place in range(max(0, len(start) - 7)):
        if start[place] != 0xFF or start[place + 1] & 0xE0 != 0xE0:
            continue
        if start[place + 1] & 0xF6 == 0xF0:
            length = (start[place + 3] & 3) << 11 | start[place + 4] << 3 | start[place + 5] >> 5
            if length > 7 and _is_sync(start, place, place + length, 0xF6):
                return AAC
        elif (length := _mpeg_frame_bytes(start[place : place + 4])) and _is_sync(
            start, place, place + length, 0xFE
        ):
            return MP3
    return None


def _is_sync(start: bytes, first: int, second: int, mask: int) -> bool:
    return (
        second + 1 < len(start)
        and start[second] == 0xFF
        and start[second + 1] & mask == start[first + 1] & mask
    )


_V1_RATES: Final = (44100, 48000, 32000)
_BIT_RATES: Final = {
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg_frame_bytes(header: bytes) -> int:
    """Return the length of a frame of layer II or III by its header; 0 for none."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate, bits = header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or layer not in (1, 2) or rate == 3 or not 0 < bits < 15:
        return 0
    kbps = _BIT_RATES[3 if version == 3 else 0, layer][bits - 1]
    hertz = _V1_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    factor = 72 if layer == 1 and version != 3 else 144
    return factor * kbps * 1000 // hertz + (header[2] >> 1 & 1)

"""The table of audio formats: all that the project knows of them, once.

`classify`, `extract`, `produce`, the content types of messages, the errors and ``docs/formats.md``
derive from it. Another format is one more row, and a function that walks over its bytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """A row.

    Attributes
    ----------
    name
        As in ``--codec``, and in errors.
    title
        What people call it.
    signature
        Pattern of its first bytes.
    media_types
        In headers ``content-type``; the first is the one that is written.
    suffixes
        Of files.
    length_stated
        Whether its head says how long it is, or its last page does, so that a bomb is refused
        before it is decoded.
    walk
        Module and function that finds what a file holds; none where ffmpeg hears it.
    demuxer
        What ffmpeg calls it; several with commas, where the first bytes do not tell them apart.
    by_ffmpeg
        Whether ffmpeg decodes what the walk finds.
    written
        Container and encoding of libsndfile that messages are written in; none where they are not.
    anywhere
        What tells it wherever it stands: bytes to look for, how far behind its start they are, and
        what the start looks like; none where only a walk is sure, or ffmpeg hears it.
    like_chunks
        Its first four bytes, where they could be the name of a chunk of the container before it.
    """

    name: str
    title: str
    signature: bytes
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    length_stated: bool = False
    walk: str = ""
    demuxer: str = ""
    by_ffmpeg: bool = False
    written: tuple[str, str] | None = None
    anywhere: tuple[bytes, int, bytes] | None = None
    like_chunks: tuple[bytes, ...] = ()


_RIFF: Final = "riff:walk_riff"
_WAV: Final = (
    rb"RIFF[\0-\xff]{4}WAVE|RIFX[\0-\xff]{4}WAVE|RF64[\0-\xff]{4}WAVE|BW64[\0-\xff]{4}WAVE"
)
_AIFF: Final = rb"FORM[\0-\xff]{4}AIF[FC]"
_CAF: Final = rb"caff\0\x01"
_W64: Final = rb"riff\x2e\x91\xcf\x11"
_MPEG: Final = "mpeg_walk:walk_mpeg"
#: Two bytes of a header, then any. That frames follow each other is for the walk to see.
_LAYER: Final = rb"\xff[%b][\0-\xef][\0-\xff]"

FORMATS: Final = (
    Format(
        "wav",
        "WAV",
        _WAV,
        ("audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"),
        (".wav", ".wave", ".bwf", ".rf64", ".bw64"),
        walk=_RIFF,
        demuxer="wav",
        written=("WAV", "FLOAT"),
        anywhere=(b"WAVE", 8, _WAV),
        like_chunks=(b"RIFF", b"RIFX", b"RF64", b"BW64"),
    ),
    Format(
        "flac",
        "FLAC",
        rb"fLaC",
        ("audio/flac", "audio/x-flac"),
        (".flac",),
        length_stated=True,
        walk="flac_walk:walk_flac",
        demuxer="flac",
        written=("FLAC", "PCM_24"),
        anywhere=(b"fLaC", 0, rb"fLaC[\0\x80]\0\0\x22"),
        like_chunks=(b"fLaC",),
    ),
    Format(
        "ogg",
        "Ogg (Vorbis, Opus, FLAC, Speex)",
        rb"OggS",
        ("audio/ogg", "application/ogg", "audio/opus", "audio/vorbis", "audio/speex"),
        (".ogg", ".oga", ".opus", ".spx"),
        length_stated=True,
        walk="ogg:walk_ogg",
        demuxer="ogg",
        written=("OGG", "VORBIS"),
        anywhere=(b"OggS\0", 0, rb"OggS\0[\x02\x06]"),
        like_chunks=(b"OggS",),
    ),
    Format(
        "mp3",
        "MP3 (MPEG layer III)",
        _LAYER % rb"\xe2\xe3\xf2\xf3\xfa\xfb",
        ("audio/mpeg", "audio/mp3"),
        (".mp3", ".mpga"),
        length_stated=True,
        walk=_MPEG,
        written=("MP3", "MPEG_LAYER_III"),
    ),
    Format(
        "mp2",
        "MPEG layer I and II",
        _LAYER % rb"\xe4\xe5\xe6\xe7\xf4\xf5\xf6\xf7\xfc\xfd\xfe\xff",
        ("audio/mp2", "audio/x-mp2"),
        (".mp2", ".mp1", ".mpa", ".m2a"),
        length_stated=True,
        walk=_MPEG,
    ),
    Format(
        "aiff",
        "AIFF",
        _AIFF,
        ("audio/aiff", "audio/x-aiff"),
        (".aif", ".aiff", ".aifc"),
        walk="sized:walk_aiff",
        demuxer="aiff",
        anywhere=(b"AIF", 8, _AIFF),
        like_chunks=(b"FORM",),
    ),
    Format(
        "au",
        "AU",
        rb"\.snd",
        ("audio/basic",),
        (".au", ".snd"),
        walk="sized:walk_au",
        demuxer="au",
        anywhere=(b".snd\0\0", 0, rb"\.snd\0\0[\0-\xff]{6}\0\0\0"),
        like_chunks=(b".snd",),
    ),
    Format(
        "caf",
        "Core Audio Format",
        _CAF,
        ("audio/x-caf",),
        (".caf",),
        walk="sized:walk_caf",
        demuxer="caf",
        anywhere=(b"caff\0\x01", 0, _CAF),
        like_chunks=(b"caff",),
    ),
    Format(
        "w64",
        "Sony Wave64",
        _W64,
        ("audio/x-w64",),
        (".w64",),
        walk="sized:walk_w64",
        demuxer="w64",
        anywhere=(b"riff\x2e\x91", 0, _W64),
        like_chunks=(b"riff",),
    ),
    Format(
        "mp4",
        "MP4 (AAC, ALAC)",
        rb"[\0-\xff]{4}ftyp",
        ("audio/mp4", "audio/x-m4a", "audio/m4a", "video/mp4"),
        (".m4a", ".mp4", ".m4b", ".m4r", ".3gp", ".3ga", ".mov"),
        demuxer="mov",
    ),
    Format(
        "aac",
        "AAC (ADTS)",
        rb"\xff[\xf0\xf1\xf8\xf9][\x40-\x7f\x80-\xbf\0-\x3f]",
        ("audio/aac", "audio/aacp", "audio/x-aac"),
        (".aac", ".aacp", ".adts"),
        walk="adts:walk_adts",
        by_ffmpeg=True,
        demuxer="aac",
    ),
    Format(
        "latm",
        "AAC (LATM, as in DAB+ and television)",
        rb"\x56[\xe0-\xff][\0-\xff]",
        ("audio/mp4a-latm",),
        (".latm", ".loas"),
        demuxer="loas",
    ),
    Format(
        "asf",
        "WMA",
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        ("audio/x-ms-wma",),
        (".wma", ".asf"),
        demuxer="asf",
    ),
    Format(
        "matroska",
        "WebM and Matroska",
        rb"\x1a\x45\xdf\xa3",
        ("audio/webm", "audio/x-matroska", "video/webm"),
        (".webm", ".weba", ".mka", ".mkv"),
        demuxer="matroska",
    ),
    Format(
        "ac3", "AC-3", rb"\x0b\x77", ("audio/ac3", "audio/eac3"), (".ac3", ".eac3"), demuxer="ac3"
    ),
    Format("ape", "Monkey's Audio", rb"MAC ", ("audio/x-ape",), (".ape",), demuxer="ape"),
    Format("wv", "WavPack", rb"wvpk", ("audio/x-wavpack",), (".wv",), demuxer="wv"),
    Format("tta", "True Audio", rb"TTA1", ("audio/x-tta",), (".tta",), demuxer="tta"),
    Format("mpc", "Musepack", rb"MPCK|MP\+", ("audio/x-musepack",), (".mpc",), demuxer="mpc,mpc8"),
    Format("dsf", "DSF", rb"DSD ", ("audio/x-dsf",), (".dsf",), demuxer="dsf"),
    Format("dff", "DSDIFF", rb"FRM8[\0-\xff]{8}DSD ", ("audio/x-dff",), (".dff",), demuxer="iff"),
    Format("svx", "8SVX", rb"FORM[\0-\xff]{4}(?:8SVX|16SV)", (), (".8svx",), demuxer="iff"),
    Format("sph", "NIST Sphere", rb"NIST_1A\n", (), (".sph", ".nist"), demuxer="nistsphere"),
    Format(
        "ircam", "IRCAM", rb"\x64\xa3[\0-\x0f]\0|\0[\0-\x0f]\xa3\x64", (), (".sf",), demuxer="ircam"
    ),
    Format("tak", "TAK", rb"tBaK", ("audio/x-tak",), (".tak",), demuxer="tak"),
    Format("shn", "Shorten", rb"ajkg", ("audio/x-shorten",), (".shn",), demuxer="shn"),
    Format("amr", "AMR", rb"#!AMR", ("audio/amr",), (".amr", ".awb"), demuxer="amr,amrnb,amrwb"),
    Format("dts", "DTS", rb"\x7f\xfe\x80\x01", ("audio/vnd.dts",), (".dts",), demuxer="dts"),
    Format(
        "rm",
        "RealAudio",
        rb"\.RMF|\.ra\xfd",
        ("audio/x-pn-realaudio",),
        (".ra", ".rm"),
        demuxer="rm",
    ),
    Format("voc", "Creative Voice", rb"Creative Voice File", (), (".voc",), demuxer="voc"),
    Format("flv", "Flash video", rb"FLV\x01", (), (".flv",), demuxer="flv"),
    Format("avi", "AVI", rb"RIFF[\0-\xff]{4}AVI ", (), (".avi",), demuxer="avi"),
    Format("mpeg", "MPEG program stream", rb"\0\0\x01\xba", (), (".mpg", ".mpeg"), demuxer="mpeg"),
    Format(
        "ts",
        "MPEG transport stream",
        # Whole packets; or some that were cut into, or have a time before each, as cameras write.
        rb"\x47[\0-\xff]{187}\x47|[\0-\xff]{1,187}?(?:\x47[\0-\xff]{187}){4}\x47"
        rb"|(?:[\0-\xff]{4}\x47[\0-\xff]{187}){4}",
        ("video/mp2t",),
        (".ts", ".m2ts", ".mts"),
        demuxer="mpegts",
    ),
)

#: Media types that say nothing of the container.
_UNTOLD: Final = ("application/octet-stream", "binary/octet-stream", "audio/x-unknown")

BY_NAME: Final = {row.name: row for row in FORMATS}
AUDIO_SUFFIXES: Final = frozenset(suffix for row in FORMATS for suffix in row.suffixes)
CONTAINER_TYPES: Final = frozenset(
    (*_UNTOLD, *(media_type for row in FORMATS for media_type in row.media_types))
)
WRITTEN: Final[dict[str, tuple[str, str]]] = {
    row.name: row.written for row in FORMATS if row.written
}
#: What ffmpeg may try where no row fits: no playlists, for those name other files; no pictures; and
#: nothing that takes any bytes for audio.
DEMUXERS: Final = (
    "aa", "aac", "ac3", "adx", "aea", "aiff", "amr", "amrnb", "amrwb", "ape", "apc", "asf", "ast",
    "au", "avi", "brstm", "caf", "dsf", "dts", "dtshd", "eac3", "flac", "flv", "gxf", "iff",
    "ircam", "loas", "matroska,webm", "mlp", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "mpc", "mpc8",
    "mpeg",
    "mpegts", "mxf", "nistsphere", "nut", "nuv", "ogg", "oma", "pvf", "rm", "rso", "shn",
    "sox", "swf", "tak", "truehd", "tta", "voc", "vqf", "w64", "wav", "wtv", "wv", "wve", "xa",
    "xwma",
)  # fmt: skip

_SIGNATURES: Final = {row.name: re.compile(row.signature) for row in FORMATS}
_ANYWHERE: Final = tuple(
    (literal, offset, re.compile(start))
    for literal, offset, start in (row.anywhere for row in FORMATS if row.anywhere)
)
#: First four bytes of containers, which look like the name of a chunk.
LIKE_CHUNKS: Final = tuple(name for row in FORMATS for name in row.like_chunks)


def media_type(name: str) -> str:
    """Return the content type that messages of a format are sent with."""
    return BY_NAME[name].media_types[0]


def candidates(head: bytes) -> Iterator[Format]:
    """Yield the formats that begin with these bytes, by their signatures alone."""
    return (row for row in FORMATS if _SIGNATURES[row.name].match(head))


def first_signature(data: bytes) -> int | None:
    """Return where a container that is sure begins; of the MPEG frames only the walk is sure."""
    places = [_first(data, *wanted) for wanted in _ANYWHERE]
    return min((place for place in places if place is not None), default=None)


def _first(data: bytes, literal: bytes, offset: int, signature: re.Pattern[bytes]) -> int | None:
    place = data.find(literal)
    while place >= 0:
        if place >= offset and signature.match(data, place - offset):
            return place - offset
        place = data.find(literal, place + 1)
    return None

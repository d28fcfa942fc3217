"""Playlists of HLS, titles in its segments, and what is left off ffmpeg's command line."""

import struct

import pytest

from services.receiver.decoder import address_arguments
from services.receiver.hls import Part, parse_media_playlist, segment_titles, without_tags
from services.receiver.reasons import SourceFailed

BASE = "https://radio.example/live/list.m3u8"
LIST = """\
#EXTM3U
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:41
#EXT-X-MAP:URI="init.mp4",BYTERANGE="100@0"
#EXTINF:5.9,
#EXT-X-BYTERANGE:1000@500
all.mp4
#EXTINF:6,
#EXT-X-BYTERANGE:2000
all.mp4
#EXT-X-DISCONTINUITY
#EXTINF:6,
/other/3.mp4
"""


def test_a_playlist_is_read() -> None:
    first, second, third = parse_media_playlist(LIST, BASE).segments
    assert first.part == Part("https://radio.example/live/all.mp4", (500, 1000))
    assert first.header == Part("https://radio.example/live/init.mp4", (0, 100))
    assert second.part.span == (1500, 2000)
    assert (third.sequence, third.part) == (43, Part("https://radio.example/other/3.mp4"))
    assert [one.breaks for one in (first, second, third)] == [False, False, True]


def test_only_what_is_new_follows() -> None:
    lines = "".join(f"#EXTINF:2,\n{n}.ts\n" for n in range(100))
    live = parse_media_playlist(f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:900\n{lines}", BASE)
    assert [one.sequence for one in live.following(None)] == [997, 998, 999]
    assert [one.sequence for one in live.following(998)] == [998, 999]
    assert live.following(1000) == ()
    assert [one.sequence for one in live.following(5000)] == [997, 998, 999]
    whole = parse_media_playlist(f"#EXTM3U\n{lines}#EXT-X-ENDLIST\n", BASE)
    assert len(whole.following(None)) == 100


@pytest.mark.parametrize("line", ["#EXT-X-TARGETDURATION:soon", "#EXT-X-MEDIA-SEQUENCE:x"])
def test_numbers_that_are_none(line: str) -> None:
    with pytest.raises(SourceFailed, match="a number in it is none"):
        parse_media_playlist(f"#EXTM3U\n{line}\n", BASE)


def test_encryption_is_noticed() -> None:
    text = '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2,\na.ts\n'
    assert parse_media_playlist(text, BASE).encrypted == "AES-128"


def _tag(version: int = 4, **frames: str) -> bytes:
    body = b""
    for name, text in frames.items():
        data = b"\x03" + text.encode()
        body += name.encode() + len(data).to_bytes(4) + b"\0\0" + data
    size = bytes([len(body) >> 7, len(body) & 0x7F])
    return b"ID3" + bytes([version, 0, 0, 0, 0]) + size + body


TAG = _tag(TPE1="Sigur Rós", TIT2="Ágætis byrjun")
TITLE = "Sigur Rós - Ágætis byrjun"


def _packet(pid: int, payload: bytes, *, starts: bool) -> bytes:
    head = bytes([0x47, (0x40 if starts else 0) | pid >> 8, pid & 0xFF])
    room = 184 - len(payload)
    if not room:
        return head + b"\x10" + payload
    filling = bytes([room - 1]) + (b"\0" + b"\xff" * (room - 2) if room > 1 else b"")
    return head + b"\x30" + filling + payload


def _table(rows: bytes, number: int) -> bytes:
    length = 5 + len(rows) + 4
    return bytes([0, number, 0xB0, length, 0, 1, 0xC1, 0, 0]) + rows + b"crc!"


def _transport(tag: bytes) -> bytes:
    """Return a stream with one timed tag, over as many packets as it needs."""
    pat = _packet(0, _table(struct.pack(">HH", 1, 0xE100), 0), starts=True)
    stream = bytes([0x15, 0xE1, 0x02, 0xF0, 0])
    pmt = _packet(0x100, _table(b"\xe1\x01\xf0\x00" + stream, 2), starts=True)
    pes = b"\0\0\1\xbd\0\0\x80\x80\x05\x21\0\1\0\1" + tag
    parts = [pes[i : i + 184] for i in range(0, len(pes), 184)]
    return pat + pmt + b"".join(_packet(0x102, p, starts=not i) for i, p in enumerate(parts))


@pytest.mark.parametrize(
    "segment",
    [
        _transport(TAG),
        _transport(_tag(TXXX="x" * 100, TPE1="Sigur Rós", TIT2="Ágætis byrjun")),
        TAG + b"\xff\xf1 packed audio",
        struct.pack(">I", 60 + len(TAG))
        + b"emsg"
        + b"https://aomedia.org/emsg/ID3\0".ljust(52)
        + TAG,
    ],
    ids=["MPEG-TS", "two packets", "packed", "fMP4"],
)
def test_titles_are_found(segment: bytes) -> None:
    assert segment_titles(segment) == [TITLE]


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_no_broken_segment_is_a_fault(cut: int) -> None:
    assert segment_titles(_transport(TAG)[: 376 + cut]) in ([], [TITLE], [TITLE[: TITLE.find("Á")]])
    assert len(segment_titles(b"\x47" + bytes(range(256)) * 4)) == 0


def test_tags_are_no_audio() -> None:
    assert without_tags(TAG + TAG + b"\xff\xf1") == b"\xff\xf1"


def test_secrets_are_on_no_command_line() -> None:
    url = "rtsp://me:it's3cret@radio.example/live?token=s3cret"
    arguments, script = address_arguments(url, "me/1")
    assert "s3cret" not in " ".join(arguments)
    assert b"file 'rtsp://me:it'\\''s3cret@radio.example/live?token=s3cret'" in script

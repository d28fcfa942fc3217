import re
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.receiver import icy
from services.receiver.addresses import check_address, without_secrets
from services.receiver.backoff import Backoff, is_refused
from services.receiver.containers import AAC, MP3, recognise
from services.receiver.http_messages import Dechunker, parse_head, request_bytes
from services.receiver.playlists import (
    cheapest_variant,
    parse_m3u,
    parse_opml,
    parse_pls,
    playlist_kind,
)
from services.receiver.reasons import REASON_CODES, SourceFailed, reason, status_reason
from services.receiver.silence import Silence, level_dbfs
from services.receiver.stall import AudioWatch
from services.receiver.station_state import BadTransition, State, StationState
from services.receiver.timeline import CHUNK_SECONDS, Numbers, Timeline


def test_a_station_cannot_receive_before_it_connects() -> None:
    with pytest.raises(BadTransition, match="idle cannot become receiving"):
        StationState(State.IDLE, 0.0).enter(State.RECEIVING, 1.0)


def test_a_state_knows_since_when_it_is() -> None:
    state = StationState(State.IDLE, 0.0).enter(State.CONNECTING, 5.0)
    assert state.enter(State.CONNECTING, 7.0).seconds(9.0) == 4.0


def test_every_reason_has_a_sentence_and_a_remedy() -> None:
    assert REASON_CODES
    for code in REASON_CODES:
        assert re.fullmatch(r"[^:]+.*: .+", str(reason(code)))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((401, "unauthorized"), (403, "forbidden"), (404, "not-found"), (410, "gone")),
        *((400, "http-error"), (500, "server-error"), (503, "server-error")),
    ],
)
def test_a_status_has_a_reason(status: int, code: str) -> None:
    assert status_reason(status).code == code


def test_it_connects_again_at_once_then_with_jitter_up_to_a_minute() -> None:
    random, backoff, now, waits = Random(0), Backoff(), 100.0, list[tuple[float, float]]()
    while now < 2000.0:
        backoff = backoff.failed(now)
        waits.append((now - 100.0, backoff.wait_seconds(now, random)))
        now += waits[-1][1]
    assert waits[0] == (0.0, 0.0)
    assert all(0.5 <= wait <= 60.0 for _, wait in waits[1:])
    assert max(wait for _, wait in waits) > 50.0
    assert all(wait <= max(1.0, outage / 10) for outage, wait in waits[1:])


def _given_up(received: int, steps: list[int]) -> tuple[float, str]:
    """Let so many bytes come in each half second without audio; return when and why it ends."""
    watch, now = AudioWatch(0.0, received), 0.0
    for count in steps:
        now, received = now + 0.5, received + count
        try:
            watch.is_stalled(True, received, now)
        except SourceFailed as error:
            return now, error.reason.code
    return now, ""


def test_a_slow_server_sends_no_garbage() -> None:
    """A tenth of 16 kB a second, of which a decoder hands on the samples of 12 kB at once."""
    watch, received = AudioWatch(0.0, 160_000, audio_seconds=10.0), 160_000
    for half in range(1, 15):
        received += 800
        assert watch.is_stalled(True, received, half / 2) is (half > 6)


def test_bytes_that_a_decoder_holds_back_are_no_garbage() -> None:
    assert _given_up(0, [16_000] + [0] * 20) == (7.5, "no-audio")
    assert _given_up(0, [8_000] * 20) == (2.5, "unknown-codec")
    assert _given_up(0, [0] * 20) == (7.5, "no-audio")


def test_failures_are_forgotten_after_a_minute_of_audio() -> None:
    backoff = Backoff(7)
    assert backoff.heard(59.0) == backoff
    assert backoff.heard(60.0) == Backoff()


def test_a_404_is_refused_unless_audio_came_a_moment_ago() -> None:
    assert is_refused(reason("not-found"), None)
    assert not is_refused(reason("not-found"), 5.0)
    assert is_refused(reason("gone"), 61.0)
    assert not is_refused(reason("server-error"), None)


@given(st.lists(st.floats(-120, 0), max_size=300))
def test_silence_is_reported_once_a_side(levels: list[float]) -> None:
    silence, reports = Silence(-50.0, 20.0, 3.0), []
    for level in levels:
        silence, change = silence.observe(level, 1.0)
        reports += [change] if change else []
    assert reports == [("silent", "sounding")[n % 2] for n in range(len(reports))]


def test_silence_has_two_sides() -> None:
    silence, reports = Silence(-50.0, 20.0, 3.0), []
    levels = [-60.0] * 19 + [-40.0] + [-60.0] * 20 + [-40.0] * 2 + [-60.0] + [-40.0] * 3
    for second, level in enumerate(levels, 1):
        silence, change = silence.observe(level, 1.0)
        reports += [(second, change)] if change else []
    assert reports == [(40, "silent"), (46, "sounding")]


def test_the_level_of_a_full_sine_is_3_db_below_full_scale() -> None:
    sine = (32767 * np.sin(np.arange(22050) * 0.1)).astype(np.int16)
    assert level_dbfs(sine) == pytest.approx(-3.0, abs=0.1)
    assert level_dbfs(np.zeros(10, np.int16)) == -120.0
    assert level_dbfs(np.full(10, -32768, np.int16)) == 0.0


def _with_titles(sound: bytes, every: int, titles: list[bytes]) -> bytes:
    parts, waiting = bytearray(), list(titles)
    for place in range(0, len(sound), every):
        block = sound[place : place + every]
        parts += block
        if len(block) == every:
            text = waiting.pop(0) if waiting else b""
            text += bytes(-len(text) % 16)
            parts += bytes([len(text) // 16]) + text
    return bytes(parts)


@given(st.binary(max_size=3000), st.integers(1, 400), st.integers(256, 700))
def test_titles_are_taken_out_however_the_bytes_come(sound: bytes, step: int, every: int) -> None:
    titles = ["Sigur Rós - Svefn-g-englar".encode("latin-1"), b"Guns N' Roses - Don't Cry"]
    data = _with_titles(sound, every, [b"StreamTitle='" + t + b"';" for t in titles])
    demultiplexer, out, found = icy.Demultiplexer(every), bytearray(), list[str]()
    for place in range(0, len(data), step):
        part, names = demultiplexer.feed(data[place : place + step])
        out += part
        found += names
    assert bytes(out) == sound
    expected = ["Sigur Rós - Svefn-g-englar", "Guns N' Roses - Don't Cry"]
    assert found == expected[: len(sound) // every]


@pytest.mark.parametrize("text", ["1", "2147483648", "-5", "x", "9" * 4000])
def test_an_absurd_interval_of_titles_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="icy-metaint is"):
        icy.interval(text)


def test_a_title_is_short_and_printable() -> None:
    assert icy.clean_title("a\x1b[31m\n" + "b" * 10_000).startswith("a [31m bbb")
    assert len(icy.clean_title("b" * 10_000)) == icy.MAX_TITLE


def test_lists_of_streams_are_read() -> None:
    pls = "[playlist]\nFile2=http://b/\nTitle2=B\nFile1=http://a/\n"
    assert [entry.url for entry in parse_pls(pls)] == ["http://a/", "http://b/"]
    m3u = "#EXTM3U\n#EXTINF:-1,Radio A\nhttp://a/\n\nhttp://b/\n"
    assert [(e.url, e.title) for e in parse_m3u(m3u)] == [
        ("http://a/", "Radio A"),
        ("http://b/", ""),
    ]
    opml = '<opml><body><outline text="A" URL="http://a/"/></body></opml>'
    assert [(e.url, e.title) for e in parse_opml(opml)] == [("http://a/", "A")]


def test_the_cheapest_variant_is_chosen() -> None:
    text = (
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=256000,AVERAGE-BANDWIDTH=1\nhigh.m3u8\n"
        "#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=9,BANDWIDTH=64000\nlow.m3u8\n"
    )
    assert playlist_kind(text.encode()) == "hls"
    assert cheapest_variant(text, "http://a/x/m.m3u8") == "http://a/x/low.m3u8"


def test_opml_with_entities_is_refused() -> None:
    with pytest.raises(ValueError, match="remove its DOCTYPE"):
        parse_opml('<!DOCTYPE x [<!ENTITY a "b">]><opml/>')


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "concat:a|b", "subfile:,,:x", "http:///x", "ftp://a/b", "exec:ls"),
        *("http://a b/", "http://[::1/", "alsa:default", "http://a:99999/", "x"),
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"addresses of|the address|taken from the file"):
        check_address(url, local=False)


def test_addresses_are_written_without_secrets() -> None:
    url = "http://user:pass@radio.example:8000/live?key=s3cret#x"
    assert without_secrets(url) == "http://radio.example:8000/live"
    assert without_secrets("exec:play --token s3cret") == "exec:play"


def test_heads_of_http_and_icy_are_read() -> None:
    head = parse_head(b"ICY 200 OK\r\nicy-metaint:8192\r\nSet-Cookie: a=b; Path=/")
    assert (head.status, head.get("icy-metaint"), head.cookies) == (200, "8192", ("a=b",))
    with pytest.raises(SourceFailed, match="does not speak HTTP"):
        parse_head(b"SSH-2.0-OpenSSH\r\n")


def test_a_request_asks_for_titles_and_logs_in() -> None:
    sent = request_bytes("http://u:p%40@h:8/x y?a=1", {"X-A": "1"}, "me").decode()
    assert sent.startswith("GET /x%20y?a=1 HTTP/1.1\r\nHost: h:8\r\n")
    assert "Authorization: Basic dTpwQA==\r\n" in sent
    assert "Icy-MetaData: 1\r\n" in sent


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20), st.integers(1, 60))
def test_chunked_transfer_is_undone(parts: list[bytes], step: int) -> None:
    data = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    dechunker, out = Dechunker(), bytearray()
    for place in range(0, len(data), step):
        out += dechunker.feed(data[place : place + step])
    assert bytes(out) == b"".join(parts)
    assert dechunker.ended


def test_a_chunked_transfer_without_line_ends_is_refused() -> None:
    with pytest.raises(SourceFailed, match="has no end"):
        Dechunker().feed(b"1" * 5000)


def test_pages_and_noise_are_no_audio() -> None:
    assert recognise(b"<!DOCTYPE html><html>" * 50, "audio/mpeg") is None
    assert recognise(b"{}", "audio/mpeg") is None
    mp3_frame = b"\xff\xfb\x90\x00" + bytes(413)
    assert recognise(b"junk" + 3 * mp3_frame) is MP3
    aac_frame = bytes([0xFF, 0xF1, 0x50, 0x80, 0x02, 0x1F, 0xFC]) + bytes(9)
    assert recognise(3 * aac_frame) is AAC


def test_a_burst_is_from_before_it_came() -> None:
    timeline = Timeline()
    timeline.arrived(4.0, 100.0)
    timeline.arrived(1.0, 101.0)
    assert timeline.anchor == 96.0
    assert timeline.end == 101.0


def test_late_audio_that_catches_up_is_no_gap() -> None:
    timeline, skipped = Timeline(), 0.0
    for second in range(1, 60):
        arrival = max(second, 30) if 20 < second < 30 else second
        skipped += timeline.arrived(1.0, float(arrival))
    assert skipped == 0.0


def test_audio_that_stays_late_skipped_something() -> None:
    timeline, skipped = Timeline(), 0.0
    for second in range(60):
        skipped += timeline.arrived(1.0, float(second + (6 if second > 20 else 0)))
    assert skipped == pytest.approx(6.0)
    assert timeline.end == pytest.approx(66.0, abs=1.0)


def test_a_file_that_comes_at_once_is_read_as_it_plays() -> None:
    timeline, now, ends = Timeline(), 0.0, []
    for _ in range(400):
        now += timeline.wait_seconds(now)
        timeline.arrived(0.5, now)
        ends.append(timeline.end - now)
    assert max(ends) <= 1.0
    assert now == pytest.approx(400 * 0.5 - 10.0, abs=1.5)


@given(st.lists(st.floats(0, 100), max_size=50))
def test_what_is_missing_is_counted_to_the_chunk(gaps: list[float]) -> None:
    numbers, taken = Numbers(0), [0]
    for gap in gaps:
        numbers.skip(gap)
        taken.append(numbers.take())
        counted = (numbers.following - len(taken) + 1) * CHUNK_SECONDS
        missed = sum(gaps[: len(taken) - 1])
        assert abs(counted - missed) <= CHUNK_SECONDS / 2 + 1e-6
    assert all(a < b for a, b in pairwise(taken[1:]))

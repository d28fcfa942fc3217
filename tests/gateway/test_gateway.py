"""A real gateway with the real services on the embedded broker."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.gateway.cursor import Layout
from services.gateway.problems import KINDS
from services.settings import Settings
from tests.audio import encode, music
from tests.broker.harness import fresh_settings
from tests.broker.shell import genrestream
from tests.gateway.serving import Client, running_gateway

pytestmark = pytest.mark.broker
TOKEN = "a-secret-of-some-length"  # noqa: S105 - of this test
CLIP = music(9, 22_050)


@pytest.fixture(scope="module")
def client(brokers: str) -> Iterator[Client]:
    settings = fresh_settings(brokers, "gateway.")
    with running_gateway(settings, "extractor", "classifier") as (client, _):
        yield client


@pytest.fixture(scope="module")
def guarded(brokers: str) -> Iterator[Client]:
    settings: Settings = fresh_settings(brokers, "guarded.", token=TOKEN)
    with running_gateway(settings) as (client, _):
        yield client


def events(client: Client, path: str, until: str, headers: dict[str, str] | None = None) -> str:
    """Read Server-Sent Events until a text is among them."""
    connection = http.client.HTTPConnection(client.address.partition("//")[2], timeout=30)
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    text = ""
    while until not in text:
        text += response.readline().decode()
    connection.close()
    return text


def ids(text: str) -> list[str]:
    """Return the event ids of predictions."""
    lines = [line for line in text.splitlines() if line.startswith("data: {")]
    values = [json.loads(line.removeprefix("data: ")) for line in lines]
    return [value["event_id"] for value in values if "event_id" in value]


@pytest.mark.parametrize(("container", "subtype"), [("WAV", None), ("FLAC", None), ("MP3", None)])
def test_a_file_gets_the_answer_of_classify(
    client: Client, tmp_path: Path, container: str, subtype: str | None
) -> None:
    data = encode(CLIP, 22_050, container, subtype)
    path = tmp_path / f"clip.{container.lower()}"
    path.write_bytes(data)
    given = client("POST", "/api/classify", data)
    answer = json.loads(genrestream("classify", "--json", str(path)).stdout)
    assert given.status == 200, given.body
    assert given.json()["final"]
    assert given.json()["probabilities"] == answer["probabilities"]
    assert given.json()["label"] == answer["label"]


def test_windows_come_as_lines(client: Client) -> None:
    data = encode(CLIP, 22_050)
    headers = {"Accept": "application/x-ndjson"}
    lines = client("POST", "/api/classify", data, headers).body.splitlines()
    windows = [json.loads(line) for line in lines]
    assert [window["window_index"] for window in windows] == [0, 1, 2]
    assert [window["final"] for window in windows] == [False, False, True]


def test_raw_pcm_cut_anywhere_is_one_stream(client: Client) -> None:
    pcm = (CLIP * 32767).astype("<i2").tobytes()
    headers = {"Content-Type": "audio/pcm;rate=22050;channels=1;encoding=s16le"}
    sent = client("POST", "/api/streams/raw%20pcm", iter([pcm[:101], pcm[101:]]), headers)
    assert sent.json() == {"stream_id": "raw pcm", "seconds": 9.0}
    deadline = time.monotonic() + 30
    while client("GET", "/api/now/raw%20pcm").json().get("state") != "ended":
        assert time.monotonic() < deadline
    assert client("GET", "/api/now/raw%20pcm").json()["now"]["end_seconds"] == 9.0


def test_events_go_on_where_they_broke_off(client: Client) -> None:
    begin = client("GET", "/api/board").json()["cursor"]
    client("POST", "/api/streams/events-1", encode(CLIP, 22_050))
    path = "/api/events?kinds=prediction&stream=events-1"
    first = events(client, path, '"final":true', {"Last-Event-ID": begin})
    assert len(ids(first)) == 3
    cursors = [line[4:] for line in first.splitlines() if line.startswith("id: ")]
    rest = events(client, path, '"final":true', {"Last-Event-ID": cursors[0]})
    assert ids(rest) == ids(first)[1:]
    oldest = Layout(
        tuple(
            (role, number)
            for role in ("predictions", "segments", "stations", "station_events")
            for number in range(4)
        )
    ).encode({})
    assert ids(events(client, path, '"final":true', {"Last-Event-ID": oldest})) == ids(first)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code"),
    [
        ("GET", "/api/now/nobody", None, {}, "no-such-stream"),
        ("GET", "/api/nothing", None, {}, "not-found"),
        ("GET", "/api/classify", None, {}, "wrong-method"),
        ("GET", "/../../etc/passwd", None, {}, "not-found"),
        ("GET", "/api/events", None, {"Last-Event-ID": "forged"}, "bad-cursor"),
        ("GET", "/api/events?kinds=everything", None, {}, "bad-request"),
        ("GET", "/api/history/x", None, {}, "no-history"),
        ("GET", "/api/segments/x?limit=-1", None, {}, "bad-request"),
        ("GET", "/api/now", None, {"Host": "evil.example"}, "wrong-host"),
        ("POST", "/api/classify", b"", {"Origin": "http://evil.example"}, "cross-site"),
        ("POST", "/api/classify", b"no music", {}, "not-audio"),
        ("POST", "/api/classify", b"", {"Content-Type": "audio/pcm;rate=x"}, "not-audio"),
        ("POST", "/api/streams/" + "x" * 300, b"", {}, "bad-stream-id"),
        ("PUT", "/api/stations/x", b"{}", {}, "writes-off"),
        ("PUT", "/api/stations/x", b"x" * 70_000, {}, "too-large"),
        ("POST", "/api/session", b"[]", {}, "bad-request"),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(
    client: Client, method: str, path: str, body: Any, headers: dict[str, str], code: str
) -> None:
    answer = client(method, path, body, headers)
    assert answer.json()["type"] == f"urn:genrestream:problem:{code}"
    assert answer.status == KINDS[code].status == answer.json()["status"]
    assert answer.json()["remedy"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_broken_end_is_refused(client: Client) -> None:
    data = encode(CLIP, 22_050, "FLAC")
    answer = client("POST", "/api/classify", data[: len(data) // 2])
    assert answer.status in (200, 422)
    short = client("POST", "/api/classify", encode(CLIP[:9000], 22_050))
    assert short.json()["type"].endswith("not-audio")
    assert "1 s" in short.json()["detail"]


def test_headers_that_do_not_end_are_cut_off(client: Client) -> None:
    host, _, port = client.address.partition("//")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as bomb:
        bomb.sendall(b"GET / HTTP/1.1\r\n")
        try:
            for _ in range(2000):
                bomb.sendall(b"x-bomb: " + b"y" * 1000 + b"\r\n")
            answered = bomb.recv(4096)
        except OSError:
            answered = b""
    assert answered[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431")
    assert client("GET", "/healthz").status == 200


def test_nothing_is_let_in_without_the_token(guarded: Client) -> None:
    for path in ("/api/now", "/api/board", "/api/events", "/metrics", "/api/stations"):
        assert guarded("GET", path).json()["type"].endswith("token-needed"), path
    assert guarded("GET", "/").status == 200
    assert guarded("GET", "/api/now", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_a_station_is_written_and_its_secrets_are_not_shown(guarded: Client) -> None:
    key = {"Authorization": f"Bearer {TOKEN}"}
    station = {"name": "One", "url": "https://u:pass@radio.example/x", "headers": {"X": "secret"}}
    put = guarded("PUT", "/api/stations/one", json.dumps(station).encode(), key)
    assert put.status == 200, put.body
    deadline = time.monotonic() + 20
    while guarded("GET", "/api/stations/one", headers=key).status != 200:
        assert time.monotonic() < deadline
    shown = guarded("GET", "/api/board", headers=key).body
    assert b"One" in shown
    assert b"pass" not in shown
    assert b"secret" not in shown
    assert guarded("DELETE", "/api/stations/one", headers=key).status == 204


def test_the_cookie_of_the_page_lets_in(guarded: Client) -> None:
    body = json.dumps({"token": TOKEN}).encode()
    signed = guarded("POST", "/api/session", body)
    cookie = signed.headers["set-cookie"]
    assert signed.status == 204
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    assert guarded("GET", "/api/now", headers=headers).status == 200
    crossed = guarded("POST", "/api/classify", b"x", {**headers, "Origin": "http://evil.example"})
    assert crossed.json()["type"].endswith("cross-site")


def test_the_document_is_openapi_3_1_with_examples(client: Client) -> None:
    document = client("GET", "/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    for path in ("/api/now", "/api/events", "/api/classify", "/api/history/{station_id}"):
        assert path in paths
    now = paths["/api/now"]["get"]["responses"]["200"]["content"]["application/json"]
    assert now["example"][0]["now"]["label"]


def test_each_answer_has_the_headers_of_safety(client: Client) -> None:
    for path in ("/", "/api/now", "/nothing"):
        headers = client("GET", path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers

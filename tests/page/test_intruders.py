"""Other sites, guessed tokens, and names that are HTML: nothing is let in, nothing is run."""

import asyncio
import json
import time
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.radio_scene import cast
from schemas import encode_event
from tests.broker.harness import Message, send
from tests.gateway.serving import running_gateway
from tests.page.hostile import (
    KEY,
    TOKEN,
    Gateway,
    in_thread,
    settings_of,
    shake,
)
from tests.page.test_page import wait

pytestmark = [
    pytest.mark.page,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("well_afterwards"),
]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://x.evil.example"])
def test_a_socket_from_another_site_is_refused(gateway: Gateway, origin: str) -> None:
    connection, answer = shake(gateway, Origin=origin)
    connection.close()
    assert b" 403 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/classify"),
        ("POST", "/api/streams/x"),
        ("PUT", "/api/stations/x"),
        ("DELETE", "/api/stations/x"),
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
    ],
)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://x"])
def test_another_site_changes_nothing(
    gateway: Gateway, method: str, path: str, origin: str
) -> None:
    body = json.dumps({"token": TOKEN}).encode()
    asked = gateway.client(method, path, body, {**KEY, "Origin": origin, "Host": "y"})
    assert asked.json()["type"].endswith("cross-site")
    assert "access-control-allow-origin" not in asked.headers


def test_guessing_the_token_ends(broker: str) -> None:
    settings = settings_of(broker, "guess.", token=TOKEN)
    with running_gateway(settings) as (client, _):
        codes = [
            client("GET", "/api/now", headers={"Authorization": f"Bearer {n:016}"}).status
            for n in range(40)
        ]
        body = json.dumps({"token": "0" * 16}).encode()
        assert client("POST", "/api/session", body).status == 429
    assert codes == [401] * 10 + [429] * 30


HTML = "<img src=x onerror=\"alert('xss')\"><script>alert(1)</script>'\"&amp;"


def test_names_titles_and_labels_are_text_and_no_html(broker: str, browser: Any) -> None:
    settings = settings_of(broker, "html.")
    player = cast(1)[0]
    player.station = replace(player.station, name=HTML, tags=(HTML,))
    player.labels = (HTML,)
    now_ms = round(time.time() * 1000)
    events = [
        player._event("title", now_ms - 5000, title=HTML),
        player._event("lost", now_ms - 4000, reason="timeout", message=HTML),
    ]
    segments = list(player.segments(now_ms - 7_200_000, now_ms - 3000))
    _, heard = player.prediction(now_ms - 3000)
    key = player.station.id.encode()
    messages = [Message(encode_event(player.station), key, topic="stations")]
    messages += [Message(encode_event(event), key, topic="station.events") for event in events]
    messages += [Message(encode_event(s), key, topic="genre.segments") for s in segments]
    stream = replace(heard, stream_id=HTML, event_id="of a stream")
    messages += [
        Message(encode_event(found), found.stream_id.encode(), topic="genre.predictions")
        for found in (heard, stream)
    ]
    in_thread(lambda: asyncio.run(send(settings, messages)))
    with running_gateway(settings) as (client, _):
        page = browser.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.goto(client.address + "/")
        wait(page, "document.querySelectorAll('#rows .row').length === 2")
        assert page.locator("#rows .row").count() == 2
        page.locator("#rows .row[data-state=lost]").click()
        for part in ("h2", ".say"):
            wait(page, f"/<img src=x/.test(document.querySelector('#station {part}')?.innerText)")
        listed = "[...document.querySelectorAll('#station ol')].map((list) => list.innerText)"
        wait(page, f"{listed}.filter((text) => text.includes('<img src=x')).length >= 4")
        assert page.locator("main img, main script").count() == 0
        assert said == []
        page.close()

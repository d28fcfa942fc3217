"""A reader of events that connects again as browsers do, and what it must have seen."""

import asyncio
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.settings import Settings

#: What `api/events` sends of each topic, by the topic's field in `Topics`.
KINDS = {
    "prediction": "predictions",
    "segment": "segments",
    "station-event": "station_events",
}


class Follower(threading.Thread):
    """Reads `api/events` for ever: an answer but 200 ends it, as it ends a browser's EventSource.

    Parameters
    ----------
    port
        Of the gateway.

    Attributes
    ----------
    seen
        Kind and data of each event, in order.
    refused
        The answer that ended it, if one did.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[str, Any]] = []
        self.refused: str | None = None
        self.connections = 0
        self._port, self._last_id, self._ended = port, "", threading.Event()

    def run(self) -> None:
        while not self._ended.is_set() and self.refused is None:
            with suppress(OSError, http.client.HTTPException):
                self._connect()
            self._ended.wait(0.3)

    def _connect(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
            connection.request("GET", "/api/events", headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                self.refused = f"{response.status} {response.read()[:200]!r}"
                return
            self.connections += 1
            self._read(response)
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse) -> None:
        fields: dict[str, str] = {}
        while line := response.readline():
            if self._ended.is_set():
                return
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
                continue
            if "data" in fields:
                self._last_id = fields.get("id", self._last_id)
                self.seen.append((fields["event"], json.loads(fields["data"])))
            fields = {}

    def end(self) -> None:
        self._ended.set()

    def event_ids(self) -> dict[tuple[str, str], list[str]]:
        """Return the ids of what was seen, by kind and stream, each id once."""
        found: dict[tuple[str, str], list[str]] = {}
        for kind, data in list(self.seen):
            if kind in KINDS:
                stream = data.get("stream_id") or data["station_id"]
                found.setdefault((kind, stream), []).append(data["event_id"])
        return {key: list(dict.fromkeys(ids)) for key, ids in found.items()}


def read_topics(settings: Settings) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return all messages by kind and stream, as they stand in the log."""
    with ThreadPoolExecutor(1) as thread:  # Playwright's loop runs in ours
        return thread.submit(lambda: asyncio.run(_read_topics(settings))).result()


async def _read_topics(settings: Settings) -> dict[tuple[str, str], list[dict[str, Any]]]:
    topics = Topics(settings.topic_prefix)
    kinds = {getattr(topics, role): kind for kind, role in KINDS.items()}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    async with reading(settings, list(kinds), from_beginning=True) as reader:
        async for record in reader.messages_so_far():
            key = (kinds[record.topic], record.key.decode())
            found.setdefault(key, []).append(json.loads(record.value))
    return found


def wait_until(condition: Any, seconds: float, what: str) -> None:
    """Wait for something outside of the browser."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)

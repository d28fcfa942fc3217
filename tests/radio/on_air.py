"""Stations on air, each with a server of its own, and the receivers that listen to them."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas import Station
from services.console import station_list
from services.console.stack import worker_environment
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings
from terminal.processes import die_with_parent
from tests.broker.shell import children
from tests.radio.live_server import DOMAIN, Certificates, LiveServer
from tests.radio.log import Chunk, Log

_WORKER: Final = (sys.executable, "-m", "tests.radio.named_worker")
_DEADLINE_SECONDS: Final = 60.0


@dataclass
class Radios:
    """Stations, their servers, and the receivers that listen to them."""

    settings: Settings
    servers: dict[str, LiveServer]
    names: Path
    environment: dict[str, str]
    log: Log = field(default_factory=Log)
    receivers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def know(self, station: str, known: bool) -> None:
        """Let DNS know a station, or not."""
        addresses = json.loads(self.names.read_text())
        addresses[f"{station}.{DOMAIN}"] = "127.0.0.1" if known else None
        following = self.names.with_suffix(".new")
        following.write_text(json.dumps(addresses))
        following.replace(self.names)

    def start_receiver(self, name: str) -> None:
        """Start a receiver."""
        self.receivers[name] = subprocess.Popen(
            [*_WORKER, str(self.names), "worker", "receiver"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def decoders(self) -> list[int]:
        """Return the processes of all receivers that run."""
        running = (r for r in self.receivers.values() if r.poll() is None)
        return [child for receiver in running for child in children(receiver.pid)]

    async def chunk_after(self, station: str, moment: float) -> None:
        """Wait for a chunk that comes later."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while (self.log.chunks[station] or [_NEVER])[-1].arrived <= moment:
                await asyncio.sleep(0.05)

    async def no_outage(self, station: str) -> None:
        """Wait until a station that was reported lost is reported connected."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while self._is_lost(station):
                await asyncio.sleep(0.05)

    def _is_lost(self, station: str) -> bool:
        kinds = [e.kind for e in self.log.events[station] if e.kind in ("lost", "connected")]
        return kinds[-1:] == ["lost"]

    async def chunks_of_all(self, moment: float) -> None:
        """Wait until every station had a chunk that comes later."""
        await asyncio.gather(*(self.chunk_after(station, moment) for station in self.servers))


_NEVER: Final = Chunk(0.0, 0, 0.0, 0.0, None)  # type: ignore[arg-type]  # it is not looked at


@asynccontextmanager
async def radios(settings: Settings, folder: Path, count: int) -> AsyncIterator[Radios]:
    """Put stations on air, half of them with TLS, a third with a burst; apply them."""
    certificates = await asyncio.to_thread(Certificates, folder)
    servers = {
        f"s{n:02}": LiveServer(
            f"s{n:02}", certificates if n % 2 else None, burst=3.0 if n % 3 == 0 else 0.0
        )
        for n in range(count)
    }
    names = folder / "names.json"
    names.write_text("{}")
    environment = worker_environment(settings) | {"SSL_CERT_FILE": str(certificates.authority)}
    run = Radios(settings, servers, names, environment)
    topics = Topics(settings.topic_prefix)
    reader = TopicReader(settings, [topics.chunks, topics.station_events])
    for name, server in servers.items():
        run.know(name, True)
        await server.start()
    stations = [Station(id=name, name=name, url=server.url) for name, server in servers.items()]
    await station_list.apply(settings, stations, prune=False)
    await reader.start()
    following = asyncio.create_task(run.log.follow(reader))
    try:
        yield run
    finally:
        await _stop(run)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await reader.stop()
        for server in servers.values():
            server.close()
            server.drop()


async def _stop(run: Radios) -> None:
    for receiver in run.receivers.values():
        with suppress(ProcessLookupError):
            receiver.send_signal(signal.SIGCONT)
            receiver.terminate()
    for receiver in run.receivers.values():
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(receiver.wait, 15.0)
        receiver.kill()

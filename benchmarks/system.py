"""The whole system on this machine, to be measured: an embedded broker and workers."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load import Load, listen, send
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import chunk_producer
from services.kafka.embedded_broker import SESSION_TIMEOUT_SECONDS, embedded_broker
from services.kafka.topics import create_topics
from services.settings import Settings, load_settings

#: Its feature set, librosa-52, is the one that the targets are stated for.
MODEL: Final = "discriminant-librosa-52"
SERVICES: Final = ("extractor", "classifier")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class System:
    """Running processes.

    Attributes
    ----------
    settings
        With the address of the broker.
    processes
        Process ids by role: ``broker``, ``extractor``, ``classifier``, and ``client``, which is us.
    """

    settings: Settings
    processes: dict[str, list[int]]

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each role has used so far."""
        return {role: sum(map(_cpu_seconds, ids)) for role, ids in self.processes.items()}

    def resident_bytes(self, role: str) -> int:
        """Return the resident memory of a role."""
        return sum(map(resident_bytes, self.processes[role]))


@asynccontextmanager
async def running_system(
    partitions: int = 8, workers: int = 1, model: str = MODEL
) -> AsyncIterator[System]:
    """Run a broker and so many workers of each service, warm and with their partitions."""
    with embedded_broker() as address:
        broker = list(children(os.getpid()))
        settings = load_settings(
            bootstrap_servers=address,
            partitions=partitions,
            session_timeout_seconds=SESSION_TIMEOUT_SECONDS,
            log_level="ERROR",
            model=model,
        )
        await create_topics(settings)
        environment = worker_environment(settings)
        started = {
            f"{service}-{number}": start_worker(service, environment)
            for service in SERVICES
            for number in range(workers)
        }
        try:
            processes = {
                service: [p.pid for name, p in started.items() if name.startswith(service)]
                for service in SERVICES
            }
            system = System(settings, {**processes, "broker": broker, "client": [os.getpid()]})
            await warm_up(system)
            yield system
        finally:
            stop_workers(started)


async def warm_up(system: System) -> None:
    """Wait until every partition is served and every kernel compiled."""
    load = Load("warm-up", streams=4 * system.settings.partitions, seconds=6.0)
    async with listen(system.settings) as listener, chunk_producer(system.settings) as producer:
        await send(producer, system.settings, load)
        await listener.take(load)


def children(process: int) -> Iterator[int]:
    """Yield the ids of a process's children (Linux)."""
    tasks = Path(f"/proc/{process}/task")
    for task in tasks.iterdir():
        yield from map(int, (task / "children").read_text().split())


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS

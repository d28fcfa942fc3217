"""A command is run where the receiver's own file names it, and nowhere else."""

import asyncio
from pathlib import Path

import pytest

from schemas import Station
from services.receiver.agent import _commands
from services.receiver.receiver import Receiver
from services.settings import load_settings
from tests.receiver.servers import Ear

FILE = 'stations:\n  - id: studio\n    url: "exec:arecord -f cd"\n'


def _refusal(url: str) -> tuple[str, str]:
    async def work() -> Ear:
        ear = Ear()
        task = asyncio.create_task(Receiver(Station(id="x", name="x", url=url), ear).run())
        await ear.until(lambda: bool(ear.events))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return ear

    (event, *_) = asyncio.run(work()).events
    return event.kind, event.message or ""


@pytest.mark.parametrize("kind", ["exec:touch ", "alsa:", "pulse:"])
def test_the_topic_runs_no_commands(kind: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    refused, message = _refusal(f"{kind}{made}")
    assert refused == "refused"
    assert "GENRESTREAM_STATIONS" in message
    assert not made.exists()


def test_a_file_names_what_may_run(tmp_path: Path) -> None:
    path = tmp_path / "stations.yaml"
    path.write_text(FILE)
    assert _commands(load_settings(stations=path)) == {("studio", "exec:arecord -f cd")}
    assert _commands(load_settings()) == frozenset()

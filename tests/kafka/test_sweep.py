import asyncio

import pytest

from schemas import Origin
from services.extractor.agent import create_extractor, create_recipe
from services.extractor.state import Cursor, Heard
from services.kafka.faust_fixes import App
from services.settings import load_settings

KEY = "0/s"


@pytest.fixture
def app() -> App:
    """Create an extractor, not started, with an open stream of partition 0 in its table."""
    settings = load_settings()
    app = create_extractor(settings, create_recipe(settings, ("seed-25",)), partitions=2)
    cursor = Cursor(Origin("audio.chunks", 0, 5), 3, 11, Heard(0))
    app.worker.saved.put(KEY, app.worker.saved.encode(cursor))
    return app


def sweep(app: App, *, recovered: bool, ours: int) -> None:
    app.tables.actives_ready = recovered
    app.worker._assigned_at = {ours: 0.0}
    asyncio.run(app.worker._sweep_saved())


def test_an_open_stream_is_taken_up(app: App) -> None:
    sweep(app, recovered=True, ours=0)
    assert set(app.worker._live) == {KEY}


def test_nothing_is_taken_up_before_the_table_is_recovered(app: App) -> None:
    sweep(app, recovered=False, ours=0)
    assert not app.worker._live


def test_what_is_held_of_other_partitions_stays(app: App) -> None:
    """Between two assignments nothing is ours, and what stays ours is not recovered again."""
    sweep(app, recovered=True, ours=1)
    assert not app.worker._live
    assert list(app.worker.saved) == [KEY]

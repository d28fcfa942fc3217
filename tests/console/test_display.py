"""What people read of predictions and segments."""

import io
import time
from collections.abc import Iterator

import msgspec
import pytest
from rich.console import Console

from schemas import GenrePrediction, GenreSegment
from schemas.examples import EXAMPLE_PREDICTION, EXAMPLE_SEGMENT
from services.console.display import clock, print_prediction, print_segment


@pytest.fixture(autouse=True)
def _here_is_utc_plus_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(message: GenrePrediction | GenreSegment) -> str:
    output = io.StringIO()
    console = Console(file=output, width=80)
    if isinstance(message, GenrePrediction):
        print_prediction(console, message)
    else:
        print_segment(console, message)
    return output.getvalue().rstrip("\n")


def test_a_window_shows_what_sounds_now_and_since_when() -> None:
    line = shown(EXAMPLE_PREDICTION)
    assert line.split() == [
        *("radio-1", "00:21-00:24", "blues", "50%"),
        *("now", "jazz", "75%", "█" * 15, "since", "01:59:39"),
    ]


def test_a_classifier_that_does_not_say_shows_the_answer_for_the_stream() -> None:
    line = shown(msgspec.structs.replace(EXAMPLE_PREDICTION, now=None))
    assert "so far jazz" in line
    assert "now" not in line


def test_the_end_of_a_stream_is_a_line_of_its_own() -> None:
    _, last = shown(msgspec.structs.replace(EXAMPLE_PREDICTION, final=True)).splitlines()
    assert last.endswith("final: jazz 75%  (8 windows; then blues 25%)")


def test_a_segment_shows_when_it_was_heard() -> None:
    assert shown(EXAMPLE_SEGMENT).split(maxsplit=6) == [
        *("radio-1", "01:59:39-02:03:00", "jazz", "03:21", "75%", "█" * 15),
        "3 s not heard",
    ]


def test_a_segment_without_times_shows_its_place_in_the_stream() -> None:
    segment = msgspec.structs.replace(
        EXAMPLE_SEGMENT, began_at=None, ended_at=None, continues=True, final=True
    )
    line = shown(segment)
    assert "00:00-03:18" in line
    assert line.endswith("goes on from the stream before, 3 s not heard, the stream ends")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (59.9, "00:59"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_hours_are_shown_where_there_are_some(seconds: float, text: str) -> None:
    assert clock(seconds) == text

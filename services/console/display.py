"""What people see of predictions, segments and tags in a terminal."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from schemas import GenrePrediction, GenreSegment, TagPrediction, to_milliseconds
from schemas.echo import echo

_BAR_CELLS: Final = 20
_SHOWN_GENRES: Final = 3
#: Characters of an id, and of a label, at most.
_ID: Final = 200
_LABEL: Final = 40


def print_prediction(console: Console, prediction: GenrePrediction) -> None:
    """Print a prediction: a line a window, and for the final one the answer for the stream."""
    if prediction.window:
        console.print(_window_line(prediction), highlight=False, soft_wrap=True)
    if prediction.final:
        console.print(_final_line(prediction), highlight=False, soft_wrap=True)


def print_segment(console: Console, segment: GenreSegment) -> None:
    """Print a segment: when it was heard, its label, and how sure that is."""
    console.print(_segment_line(segment), highlight=False, soft_wrap=True)


def print_tags(console: Console, prediction: TagPrediction) -> None:
    """Print tags: a line a window, and for the final one those of the stream."""
    if prediction.window is not None:
        console.print(_tags_line(prediction), highlight=False, soft_wrap=True)
    if prediction.final:
        line = Text.assemble(
            (f"{echo(prediction.stream_id, _ID):<24} ", "bold cyan"),
            (f"final: {said(prediction.tags)}", "bold"),
            (f"  ({_windows(prediction.windows)})", "dim"),
        )
        console.print(line, highlight=False, soft_wrap=True)


def said(tags: Mapping[str, float]) -> str:
    """Write tags and how probable they are.

    >>> said({"jazz": 0.625, "guitar": 0.125}), said({})
    ('jazz 62%, guitar 12%', 'no tags')
    """
    return ", ".join(f"{echo(tag, _LABEL)} {p:.0%}" for tag, p in tags.items()) or "no tags"


def print_json(data: bytes) -> None:
    """Print a line of JSON at once, as UTF-8: a pipe gets it as it comes, in any locale."""
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def clock(seconds: float) -> str:
    """Write a place in a stream.

    >>> clock(75.0), clock(3675.2)
    ('01:15', '1:01:15')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def time_of_day(time: str) -> str:
    """Write a time of a message as the clock on the wall shows it."""
    return datetime.fromtimestamp(to_milliseconds(time) / 1000).strftime("%H:%M:%S")


def bar(share: float) -> str:
    """Draw a share of 0 to 1, padded to its whole width."""
    return f"{'█' * round(share * _BAR_CELLS):<{_BAR_CELLS}}"


def _window_line(prediction: GenrePrediction) -> Text:
    assert prediction.window
    span = f"{clock(prediction.start_seconds)}-{clock(prediction.end_seconds)}"
    return Text.assemble(
        (f"{echo(prediction.stream_id, _ID):<24} ", "cyan"),
        (f"{span}  ", "dim"),
        f"{echo(prediction.window.label, _LABEL):<10}{prediction.window.confidence:5.0%}  ",
        *_now(prediction),
    )


def _tags_line(prediction: TagPrediction) -> Text:
    assert prediction.window is not None
    span = f"{clock(prediction.start_seconds)}-{clock(prediction.end_seconds)}"
    return Text.assemble(
        (f"{echo(prediction.stream_id, _ID):<24} ", "cyan"),
        (f"{span}  ", "dim"),
        said(prediction.window),
    )


def _now(prediction: GenrePrediction) -> list[str | tuple[str, str]]:
    """Return what sounds now; of a classifier that does not say, the answer for the stream."""
    now = prediction.now
    if now is None:
        running = f"so far {echo(prediction.label, _LABEL):<10}{prediction.confidence:5.0%} "
        return [running, (bar(prediction.confidence), "green")]
    since = f"  since {time_of_day(now.since)}" if now.since else ""
    return [
        "now ",
        (f"{echo(now.label, _LABEL):<10}", "bold"),
        f"{now.confidence:5.0%} ",
        (bar(now.confidence), "green"),
        (since, "dim"),
    ]


def _segment_line(segment: GenreSegment) -> Text:
    places = segment.began_at, segment.ended_at
    if places[0] and places[1]:
        span = f"{time_of_day(places[0])}-{time_of_day(places[1])}"
    else:
        span = f"{clock(segment.start_seconds)}-{clock(segment.end_seconds)}"
    return Text.assemble(
        (f"{echo(segment.stream_id, _ID):<24} ", "cyan"),
        (f"{span}  ", "dim"),
        (f"{echo(segment.label, _LABEL):<10}", "bold"),
        f"{clock(segment.seconds):>8}{segment.confidence:6.0%} ",
        (bar(segment.confidence), "green"),
        (_remarks(segment), "dim"),
    )


def _remarks(segment: GenreSegment) -> str:
    remarks = ["goes on from the stream before"] if segment.continues else []
    if segment.seconds - segment.heard_seconds >= 1.0:
        remarks.append(f"{segment.seconds - segment.heard_seconds:.0f} s not heard")
    if segment.final:
        remarks.append("the stream ends")
    return f"  {', '.join(remarks)}" if remarks else ""


def _final_line(prediction: GenrePrediction) -> Text:
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    ranked = [(name, p) for name, p in ranked if name != prediction.label]
    others = ", ".join(f"{echo(name, _LABEL)} {p:.0%}" for name, p in ranked[: _SHOWN_GENRES - 1])
    windows = _windows(prediction.windows)
    return Text.assemble(
        (f"{echo(prediction.stream_id, _ID):<24} ", "bold cyan"),
        (f"final: {echo(prediction.label, _LABEL)} {prediction.confidence:.0%}", "bold"),
        (f"  ({windows}{'; then ' + others if others else ''})", "dim"),
    )


def _windows(count: int) -> str:
    return f"{count} window{'' if count == 1 else 's'}"

"""What people see of predictions and segments in a terminal."""

import sys
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from schemas import GenrePrediction, GenreSegment, to_milliseconds
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
    windows = f"{prediction.windows} window{'' if prediction.windows == 1 else 's'}"
    return Text.assemble(
        (f"{echo(prediction.stream_id, _ID):<24} ", "bold cyan"),
        (f"final: {echo(prediction.label, _LABEL)} {prediction.confidence:.0%}", "bold"),
        (f"  ({windows}{'; then ' + others if others else ''})", "dim"),
    )

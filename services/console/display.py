"""What people see of predictions in a terminal."""

import sys

from rich.console import Console
from rich.text import Text

from schemas import GenrePrediction

_BAR_CELLS = 20
_SHOWN_GENRES = 3


def print_prediction(console: Console, prediction: GenrePrediction) -> None:
    """Print a prediction: a line a window, and for the final one the answer for the stream."""
    if prediction.window:
        console.print(_window_line(prediction), highlight=False, soft_wrap=True)
    if prediction.final:
        console.print(_final_line(prediction), highlight=False, soft_wrap=True)


def print_json(data: bytes) -> None:
    """Print a line of JSON at once, as UTF-8: a pipe gets it as it comes, in any locale."""
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def _window_line(prediction: GenrePrediction) -> Text:
    assert prediction.window
    span = f"{_clock(prediction.start_seconds)}-{_clock(prediction.end_seconds)}"
    bar = "█" * round(prediction.window.confidence * _BAR_CELLS)
    return Text.assemble(
        (f"{prediction.stream_id:<24} ", "cyan"),
        (f"{span}  ", "dim"),
        f"{prediction.window.label:<10}{prediction.window.confidence:5.0%} ",
        (f"{bar:<{_BAR_CELLS}}", "green"),
        (f"  so far {prediction.label} {prediction.confidence:.0%}", "dim"),
    )


def _final_line(prediction: GenrePrediction) -> Text:
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    ranked = [(name, p) for name, p in ranked if name != prediction.label]
    others = ", ".join(f"{name} {p:.0%}" for name, p in ranked[: _SHOWN_GENRES - 1])
    windows = f"{prediction.windows} window{'' if prediction.windows == 1 else 's'}"
    return Text.assemble(
        (f"{prediction.stream_id:<24} ", "bold cyan"),
        (f"final: {prediction.label} {prediction.confidence:.0%}", "bold"),
        (f"  ({windows}{'; then ' + others if others else ''})", "dim"),
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"

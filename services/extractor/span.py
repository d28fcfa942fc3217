"""Where windows lie in a stream: one behind the other, or apart."""

from dataclasses import dataclass

from features import window_length


@dataclass(frozen=True, slots=True)
class Span:
    """Where windows lie in a stream.

    Attributes
    ----------
    window_seconds
        Length of each.
    hop_seconds
        From the beginning of one to that of the next, at least the length: what lies between is
        not heard.
    """

    window_seconds: float
    hop_seconds: float

    def start_seconds(self, index: int, rate: int) -> float:
        """Return where a window begins."""
        return index * window_length(self.hop_seconds, rate) / rate

    def gap(self, index: int, rate: int) -> int:
        """Return how many samples lie between a window and the one before it."""
        if not index:
            return 0
        return window_length(self.hop_seconds, rate) - window_length(self.window_seconds, rate)

    def end_seconds(self, windows: int) -> float:
        """Return where the last of so many whole windows ends."""
        return (windows - 1) * self.hop_seconds + self.window_seconds if windows else 0.0

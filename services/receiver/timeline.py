"""When audio was heard, and which number its chunks have.

Audio comes in bursts: a server sends the last seconds at once, so that players start quickly, and a
network holds bytes back. But no sample comes before it sounded; so what is most ahead of its
arrival tells when the first one sounded at the latest. After that the samples themselves are the
clock, until what comes lags behind for good: then something in between was not heard.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

CHUNK_SECONDS: Final = 3.0
#: For so long after the first audio it is found out how much of it is a burst.
SETTLE_SECONDS: Final = 1.0
#: Audio that lags behind its time by more than `LAG_SECONDS` throughout `WATCH_SECONDS` skipped
#: something: the connection stood still, and the server did not send the rest.
LAG_SECONDS: Final = 2.0
#: No more of a burst is taken: a file that comes as fast as it can is read as it plays.
LONGEST_BURST_SECONDS: Final = 10.0
#: A station's clock may be so much faster than ours.
_DRIFT: Final = 0.001
WATCH_SECONDS: Final = 8.0


@dataclass
class Timeline:
    """The time of the samples of one connection; times are seconds of one clock.

    Attributes
    ----------
    anchor
        When the first sample sounded; ``None`` before audio came.
    seconds
        Of audio that arrived.
    """

    anchor: float | None = None
    seconds: float = 0.0
    _first: float = 0.0
    _lags: deque[tuple[float, float]] = field(default_factory=deque)

    def arrived(self, seconds: float, now: float) -> float:
        """Take in that so much audio arrived.

        Returns
        -------
        How much was skipped before it; nearly always 0.
        """
        if self.anchor is None:
            self.anchor = self._first = now
        self.seconds += seconds
        lag = now - self.anchor - self.seconds
        if lag > 0 and self.settled(now):
            return self._watch(lag, now)
        most = _DRIFT * seconds if self.settled(now) else -lag
        self.anchor -= max(0.0, min(-lag, most))
        self._lags.clear()
        return 0.0

    def _watch(self, lag: float, now: float) -> float:
        self._lags.append((now, lag))
        if now - self._lags[0][0] < WATCH_SECONDS:
            return 0.0
        skipped = min(lag for _, lag in self._lags)
        while now - self._lags[0][0] >= WATCH_SECONDS:
            self._lags.popleft()
        if skipped < LAG_SECONDS or self.anchor is None:
            return 0.0
        self.anchor += skipped
        self._lags.clear()
        return skipped

    def settled(self, now: float) -> bool:
        """Tell whether the burst at the beginning is over."""
        return self.anchor is not None and now - self._first >= SETTLE_SECONDS

    def wait_seconds(self, now: float) -> float:
        """Tell how long to read no more, because what was read has not sounded yet."""
        if self.anchor is None:
            return 0.0
        if self.settled(now):
            return max(0.0, self.end - now)
        rest = self._first + SETTLE_SECONDS - now
        return rest if self.seconds >= LONGEST_BURST_SECONDS else 0.0

    @property
    def end(self) -> float:
        """When the audio that arrived ends."""
        return (self.anchor or 0.0) + self.seconds

    def lag(self, now: float) -> float:
        """Tell how far what arrived is behind the time."""
        return max(0.0, now - self.end)


@dataclass
class Numbers:
    """Numbers of a station's chunks: what is missing is counted, in chunks.

    Attributes
    ----------
    following
        Number of the next chunk.
    rest
        Missing seconds that are no whole chunk yet.
    """

    following: int
    rest: float = 0.0

    def take(self) -> int:
        """Return the number of the next chunk."""
        number = self.following
        self.following += 1
        return number

    def skip(self, missing_seconds: float) -> None:
        """Count what was not heard; the rest of a chunk is added to the next gap."""
        total = self.rest + missing_seconds
        chunks = max(0, round(total / CHUNK_SECONDS))
        self.following += chunks
        self.rest = total - chunks * CHUNK_SECONDS


def first_number(now: float) -> int:
    """Return the number of a station's first chunk, by the time, so that none had it before.

    Whatever a receiver of the past counted, a number of now is higher, by what was missed since.
    """
    return int(now / CHUNK_SECONDS)

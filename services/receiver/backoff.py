"""When to connect again: at once, then with full jitter, and forgotten after a minute of audio.

An attempt that hangs counts into the wait: attempts are that far apart from begin to begin.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

from services.receiver.reasons import REFUSING, Reason

SHORTEST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 60.0
#: A wait is at most so much of the outage so far: what it adds to a fault stays small beside it.
_SHARE: Final = 0.1
#: But so long in any case: until 10 s of an outage have passed.
_FIRST_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 600.0
#: A source client that reconnects to its server is a 404 for listeners meanwhile: what was heard
#: so recently is lost, not refused.
_HEARD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often it failed in a row.

    Attributes
    ----------
    failures
        Since the last minute of audio.
    since
        When the first of them was, in seconds of a monotonic clock.
    """

    failures: int = 0
    since: float = 0.0

    def failed(self, now: float) -> "Backoff":
        """Count a failure."""
        return Backoff(self.failures + 1, self.since if self.failures else now)

    def heard(self, seconds: float) -> "Backoff":
        """Forget the failures after a minute of audio in one connection."""
        return Backoff() if seconds >= FORGET_SECONDS and self.failures else self

    def wait_seconds(self, now: float, random: Random) -> float:
        """Choose how long to wait before the next attempt: nothing after the first failure."""
        if self.failures <= 1:
            return 0.0
        longest = min(LONGEST_SECONDS, max(_FIRST_SECONDS, _SHARE * (now - self.since)))
        return random.uniform(SHORTEST_SECONDS, longest)


def is_refused(why: Reason, seconds_since_audio: float | None) -> bool:
    """Tell whether a source denies itself, so that it is asked each ten minutes only.

    Parameters
    ----------
    why
        Why it failed.
    seconds_since_audio
        How long ago audio came; ``None`` where none ever did.
    """
    heard = seconds_since_audio is not None and seconds_since_audio < _HEARD_SECONDS
    return why.code in REFUSING and not heard

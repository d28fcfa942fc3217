"""What belongs to one connection of a station, and ends with it."""

from dataclasses import dataclass, field
from typing import Final

from services.receiver.cutting import Cutter
from services.receiver.decoder import SAMPLE_RATE
from services.receiver.timeline import Timeline

#: A pause of the arrivals, beside which a lag is no slowness.
_PAUSE_SECONDS: Final = 2.0


@dataclass
class Connection:
    """What belongs to one connection.

    Attributes
    ----------
    timeline
        When its audio came.
    cutter
        Its samples that are not sent yet.
    joined
        Whether they follow what was heard before.
    overlap
        Samples that were heard before.
    heard
        Seconds of audio that were sent.
    proved
        Whether they were enough to call the station connected.
    paused
        When audio last came after a pause.
    """

    timeline: Timeline = field(default_factory=Timeline)
    cutter: Cutter = field(default_factory=Cutter)
    joined: bool = False
    overlap: int = 0
    heard: float = 0.0
    proved: bool = False
    paused: float = -1e9
    _last: float | None = None

    @property
    def start(self) -> float:
        """When the first sample that is not sent was heard, in seconds since 1970."""
        return self.timeline.end - self.cutter.samples / SAMPLE_RATE

    def arrived(self, now: float) -> None:
        """Note when audio came, and when it paused."""
        if self._last is not None and now - self._last > _PAUSE_SECONDS:
            self.paused = now
        self._last = now

    def skip_overlap(self) -> None:
        """Drop what was heard before this connection."""
        if self.overlap:
            self.overlap -= self.cutter.drop(self.overlap)

"""When audio is overdue: what counts as alive is audio, not a connection and not bytes."""

from dataclasses import dataclass, field
from typing import Final

from services.receiver.reasons import failed

STALL_SECONDS: Final = 3.0
#: No audio for so long, and the connection is given up.
NO_AUDIO_SECONDS: Final = 7.0
_FIRST_AUDIO_SECONDS: Final = 15.0
#: Bytes that come and are no audio for so long: the codec changed, or it is garbage.
_GARBAGE_SECONDS: Final = 2.5
_GARBAGE_BYTES: Final = 8192
#: A decoder holds some bytes back: they are no garbage where no more come.
_STILL_SECONDS: Final = 1.0


@dataclass
class AudioWatch:
    """Waits for audio, from the last that came.

    Parameters
    ----------
    began
        When that came, in seconds of a monotonic clock.
    received
        Bytes of the connection until then.
    """

    began: float
    received: int
    _before: int = field(init=False)
    _came: float = field(init=False)
    _fed: float = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.received
        self._came = self._fed = self.began

    def is_stalled(self, playing: bool, received: int, now: float) -> bool:
        """Tell whether audio is overdue.

        Parameters
        ----------
        playing
            Whether this connection has brought audio.
        received
            Bytes of the connection so far.
        now
            Seconds of the clock.

        Raises
        ------
        SourceFailed
            None is to be expected any more.
        """
        if received > self.received:
            self.received, self._came = received, now
        if received - self._before <= _GARBAGE_BYTES or now - self._came > _STILL_SECONDS:
            self._fed = now
        seconds = now - self.began
        if not playing:
            if seconds > _FIRST_AUDIO_SECONDS:
                raise failed("no-audio", f"for {seconds:.0f} s")
            return False
        if now - self._fed > _GARBAGE_SECONDS:
            raise failed("unknown-codec", "it changed on the way")
        if seconds > NO_AUDIO_SECONDS:
            raise failed("no-audio", f"for {seconds:.0f} s")
        return seconds > STALL_SECONDS

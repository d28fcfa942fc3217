"""When audio is overdue: what counts as alive is audio, not a connection and not bytes."""

from dataclasses import dataclass, field
from typing import Final

from services.receiver.reasons import failed

STALL_SECONDS: Final = 3.0
#: No audio for so long, and the connection is given up.
NO_AUDIO_SECONDS: Final = 7.0
_FIRST_AUDIO_SECONDS: Final = 15.0
#: Bytes of so much audio, and at least so many, that are none after as long again: the codec
#: changed, or it is garbage. A slow server's come in more time than we wait for audio.
_GARBAGE_SECONDS: Final = 1.5
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
    audio_seconds
        Of audio that these were.
    """

    began: float
    received: int
    audio_seconds: float = 0.0
    _garbage: float = field(init=False)
    _before: int = field(init=False)
    _came: float = field(init=False)
    _fed: float = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.received
        self._came = self._fed = self.began
        rate = self.received / self.audio_seconds if self.audio_seconds else 0.0
        self._garbage = max(_GARBAGE_BYTES, _GARBAGE_SECONDS * rate)

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
        if received - self._before <= self._garbage or now - self._came > _STILL_SECONDS:
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

"""What a station does at the moment: a small state machine whose transitions are checked."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """States of a station."""

    IDLE = "idle"
    CONNECTING = "connecting"
    RECEIVING = "receiving"
    STALLED = "stalled"
    BACKING_OFF = "backing-off"
    REFUSED = "refused"


_NEXT: Final[dict[State, frozenset[State]]] = {
    State.IDLE: frozenset((State.CONNECTING,)),
    State.CONNECTING: frozenset((State.RECEIVING, State.BACKING_OFF, State.REFUSED, State.IDLE)),
    State.RECEIVING: frozenset((State.STALLED, State.BACKING_OFF, State.REFUSED, State.IDLE)),
    State.STALLED: frozenset((State.RECEIVING, State.BACKING_OFF, State.REFUSED, State.IDLE)),
    State.BACKING_OFF: frozenset((State.CONNECTING, State.IDLE)),
    State.REFUSED: frozenset((State.CONNECTING, State.IDLE)),
}


class BadTransition(RuntimeError):
    """A state does not follow the one before: a fault of the program."""


@dataclass(frozen=True, slots=True)
class StationState:
    """State of a station.

    Attributes
    ----------
    state
        The state.
    since
        When it was entered, in seconds of a monotonic clock.
    """

    state: State
    since: float

    def enter(self, state: State, now: float) -> "StationState":
        """Return the state that follows; the same one goes on.

        Raises
        ------
        BadTransition
            It does not follow this one.
        """
        if state is self.state:
            return self
        if state not in _NEXT[self.state]:
            raise BadTransition(f"a station that is {self.state} cannot become {state}")
        return replace(self, state=state, since=now)

    def seconds(self, now: float) -> float:
        """Tell for how long it has been in this state."""
        return now - self.since

"""Whether this receiver may still send: two never send the same station at once.

Kafka gives a member's partitions to another when it has not heard of it for the session timeout. A
process that was stopped (``kill -STOP``) does not notice. So each send asks for a heartbeat that
the group answered within less than that, by a clock that goes on while we do not run.
"""

import time
from collections.abc import Callable
from typing import Any, Final

#: Of the session timeout; the rest is for what is on its way.
_SHARE: Final = 0.6


class Lease:
    """Membership of a group, for as long as it is sure.

    Parameters
    ----------
    session_seconds
        The group's session timeout.
    monotonic
        The clock, in seconds.
    """

    def __init__(
        self, session_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = _SHARE * session_seconds
        self._monotonic = monotonic
        self._confirmed = float("-inf")

    def confirm(self, asked: float) -> None:
        """Note that the group answered a heartbeat, which was asked at that time."""
        self._confirmed = max(self._confirmed, asked)

    def lapse(self) -> None:
        """Note that the group does not know us."""
        self._confirmed = float("-inf")

    @property
    def valid(self) -> bool:
        """Whether nobody else can have our partitions."""
        return self._monotonic() - self._confirmed < self.seconds


def watch_heartbeats(consumer: Any, lease: Lease) -> None:
    """Confirm the lease by each heartbeat of a started aiokafka consumer that is answered."""
    coordinator = consumer._coordinator
    ask = coordinator._do_heartbeat

    async def ask_and_confirm() -> bool:
        asked = time.monotonic()
        answered: bool = await ask()
        if answered:
            lease.confirm(asked)
        return answered

    coordinator._do_heartbeat = ask_and_confirm

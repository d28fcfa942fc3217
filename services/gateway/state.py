"""What the routes share: made once, when the gateway starts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import HTTPConnection

from schemas import Station
from services.gateway.access import Access
from services.gateway.board import Board
from services.gateway.counting import Counters
from services.gateway.feed import Feed
from services.gateway.hub import Hub
from services.gateway.limits import RateLimit
from services.gateway.replay import Replay
from services.settings import Settings


class History(Protocol):
    """What the recorder's database answers."""

    async def __call__(self, station: str, start_ms: int, end_ms: int, step_seconds: int) -> bytes:
        """Return the JSON of a station's time from one moment to another, in steps.

        Raises
        ------
        Problem
            There is no database, or it does not answer.
        """


#: Sends audio: topic, key, value, headers; the future is done when it is delivered.
Send = Callable[..., Awaitable[Any]]


@dataclass
class Gateway:
    """The parts of the gateway.

    Attributes
    ----------
    producer
        aiokafka's.
    history
        Asks the recorder's database; ``None`` where there is none.
    check_station
        Refuses a station that a receiver would not take.
    sending
        Ids of the streams that are being sent.
    uploads
        How many uploads a client may begin.
    """

    settings: Settings
    access: Access
    board: Board
    hub: Hub
    feed: Feed
    replay: Replay
    counters: Counters
    producer: Any = None
    history: History | None = None
    check_station: Callable[[Station], None] | None = None
    sending: set[str] = field(default_factory=set)
    uploads: RateLimit = field(default_factory=lambda: RateLimit(40, 1.0))


def gateway_of(connection: HTTPConnection) -> Gateway:
    """Return the gateway that a request is for."""
    gateway: Gateway = connection.app.state.gateway
    return gateway

"""What goes wrong with a station: how each fault begins and ends, and what is reported of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.radio.live_server import LiveServer

#: Takes the name of a station from DNS, or gives it back.
Names = Callable[[str, bool], None]
Step = Callable[[LiveServer, Names], Awaitable[None]]
_BROKEN: Final = frozenset(("connection-lost", "ended"))
_UNDECODED: Final = frozenset(("unknown-codec", "no-audio", "decoder-died"))


async def _nothing(server: LiveServer, names: Names) -> None:
    pass


async def _kill(server: LiveServer, names: Names) -> None:
    server.close()
    server.drop()


async def _start(server: LiveServer, names: Names) -> None:
    await server.start()


async def _pause(server: LiveServer, names: Names) -> None:
    server.answering = False


async def _go_on(server: LiveServer, names: Names) -> None:
    server.answering = True


async def _cut(server: LiveServer, names: Names) -> None:
    server.close()
    server.silence()
    server.plug()


async def _half_open(server: LiveServer, names: Names) -> None:
    server.silence()


async def _forget_name(server: LiveServer, names: Names) -> None:
    names(server.name, False)
    server.drop()


async def _know_name(server: LiveServer, names: Names) -> None:
    names(server.name, True)


async def _restart_expired(server: LiveServer, names: Names) -> None:
    await _kill(server, names)
    server.expired = True
    await server.start()


async def _restart_good(server: LiveServer, names: Names) -> None:
    server.close()
    server.expired = False
    await server.start()


def _answer(head: bytes) -> Step:
    async def begin(server: LiveServer, names: Names) -> None:
        server.head = head
        server.drop()

    return begin


async def _answer_well(server: LiveServer, names: Names) -> None:
    server.head = LiveServer.head


def _set(name: str, value: object) -> Step:
    async def step(server: LiveServer, names: Names) -> None:
        setattr(server, name, value)

    return step


async def _restart(server: LiveServer, names: Names) -> None:
    """Send at the right speed again, and to new listeners only: no server sends what is past."""
    server.speed = 1.0
    server.drop()


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes
    ----------
    seconds
        How long it lasts, at least and at most.
    reasons
        That ``lost`` may give.
    outages
        How many may be reported of it, at least and at most.
    secure
        Whether it needs a station with TLS.
    """

    begin: Step
    end: Step
    seconds: tuple[float, float] = (4.0, 14.0)
    reasons: frozenset[str] = field(default=_BROKEN)
    outages: tuple[int, int] = (1, 1)
    secure: bool = False


FAULTS: Final[dict[str, Fault]] = {
    "killed": Fault(_kill, _start),
    "paused": Fault(_pause, _go_on, (9.0, 15.0), frozenset(("no-audio",))),
    "cut": Fault(_cut, _start, (9.0, 15.0), frozenset(("no-audio",))),
    "half-open": Fault(_half_open, _nothing, (9.0, 9.0), frozenset(("no-audio",))),
    "no-name": Fault(_forget_name, _know_name),
    "404": Fault(_answer(b"HTTP/1.0 404 Not Found\r\n\r\n"), _answer_well),
    "503": Fault(_answer(b"HTTP/1.0 503 Service Unavailable\r\n\r\n"), _answer_well),
    "loop": Fault(_answer(b"HTTP/1.0 302 Found\r\nLocation: /live\r\n\r\n"), _answer_well),
    "expired": Fault(_restart_expired, _restart_good, secure=True),
    "garbage": Fault(_set("garbage", True), _set("garbage", False), (5.0, 12.0), _UNDECODED),
    "codec": Fault(
        *(_set("codec", "aac"), _set("codec", "mp3"), (30.0, 35.0), _UNDECODED, (1, 2)),
    ),
    "rate": Fault(
        *(_set("codec", "mp3-48"), _set("codec", "mp3"), (30.0, 35.0), _UNDECODED, (0, 2)),
    ),
    "fast": Fault(_set("speed", 10.0), _set("speed", 1.0), (8.0, 10.0), outages=(0, 0)),
    "slow": Fault(
        *(_set("speed", 0.1), _restart, (15.0, 25.0)),
        reasons=frozenset(("no-audio", "too-slow", "timeout")) | _BROKEN,
        outages=(1, 2),
    ),
}
#: Comes last: a minute of what is not on air yet is in the buffers after it.
LAST: Final = "fast"

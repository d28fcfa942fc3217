"""What a station has to say, in its order, until the broker has taken it."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka.errors import KafkaError

from schemas import AudioChunk, StationEvent

_log = logging.getLogger(__name__)

Message = AudioChunk | StationEvent

#: Two minutes of chunks; what a broker does not take by then is missing, as the numbers say.
MAX_WAITING: Final = 40
_RETRY_SECONDS: Final = 0.5


class Outbox:
    """Messages of one station that wait to be sent.

    Parameters
    ----------
    deliver
        Sends a message and waits until the broker has taken it.
    may_send
        Whether nobody else may send for the station.
    """

    def __init__(
        self, deliver: Callable[[Message], Awaitable[None]], may_send: Callable[[], bool]
    ) -> None:
        self._deliver = deliver
        self._may_send = may_send
        self._waiting: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.dropped = 0

    def put(self, message: Message) -> None:
        """Take a message, from any thread."""
        self._loop.call_soon_threadsafe(self._append, message)

    def _append(self, message: Message) -> None:
        self._waiting.append(message)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._changed.set()

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            while self._waiting:
                await self._send_first()
            self._changed.clear()
            await self._changed.wait()

    async def _send_first(self) -> None:
        if not self._may_send():
            await asyncio.sleep(0.05)
            return
        message = self._waiting[0]
        try:
            await self._deliver(message)
        except KafkaError as error:
            _log.warning("the broker does not take what a station sent: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
            return
        if self._waiting and self._waiting[0] is message:
            self._waiting.popleft()

    async def drain(self, seconds: float) -> None:
        """Wait until all is sent, but not longer."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(0)
                while self._waiting:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            _log.warning("%d messages of a station are not sent", len(self._waiting))

"""A delivery under way, with what is sent instead where the topic does not take it."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from services.processing.errors import RefusedBySize


class Delivery(Awaitable[Any]):
    """Waits for a delivery, and for that of something else where the first is too large.

    Nothing runs before it is awaited, so one that is dropped leaves nothing behind.

    Parameters
    ----------
    sent
        Done when the broker has the message.
    instead
        Sends what goes in its place.
    """

    def __init__(
        self,
        sent: Awaitable[Any],
        instead: Callable[[RefusedBySize], Awaitable[Awaitable[Any]]],
    ) -> None:
        self._sent = sent
        self._instead = instead

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        try:
            return await self._sent
        except RefusedBySize as error:
            other = await self._instead(error)
        return await other

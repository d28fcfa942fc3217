"""What the broker refuses comes back as an error that says what to do."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError

from services.kafka.sending import send
from services.processing.errors import DeliveryError, RefusedBySize
from services.processing.log import Message


async def _sent(refusal: Exception) -> None:
    """Send a message to a broker that refuses it."""

    async def refuse(*_: Any) -> asyncio.Future[object]:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        future.set_exception(refusal)
        return future

    await (await send(SimpleNamespace(send=refuse), Message("t", b"k", b"v")))


@pytest.mark.parametrize(
    ("refusal", "expected", "text"),
    [
        (InvalidTimestampError(), DeliveryError, "this machine's clock says 20"),
        (MessageSizeTooLargeError(), RefusedBySize, "t takes no message so large"),
    ],
)
def test_a_refusal_in_words(refusal: Exception, expected: type[DeliveryError], text: str) -> None:
    with pytest.raises(expected, match=text):
        asyncio.run(_sent(refusal))

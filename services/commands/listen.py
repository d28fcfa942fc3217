"""``genrestream listen``: predictions as they arrive."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from schemas import GenrePrediction, decode_event
from schemas.errors import MessageError
from services.console.display import print_json, print_prediction
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings


async def listen(
    settings: Settings, stream_ids: Sequence[str] | None, json_lines: bool, from_beginning: bool
) -> None:
    """Print predictions until cancelled."""
    console = Console()
    wanted = {name.encode() for name in stream_ids or ()}
    reader = TopicReader(settings, [Topics(settings.topic_prefix).predictions])
    await reader.start(from_beginning=from_beginning)
    try:
        async for message in reader.messages():
            if wanted and message.key not in wanted:
                continue
            if json_lines:
                print_json(message.value or b"null")
            else:
                _show(console, message)
    finally:
        await reader.stop()


def _show(console: Console, message: Any) -> None:
    try:
        print_prediction(console, decode_event(message.value, GenrePrediction))
    except MessageError as error:
        where = f"{message.topic} partition {message.partition} offset {message.offset}"
        console.print(f"{where}: {error}", style="red", markup=False, soft_wrap=True)

"""``genrestream listen``: predictions, segments or tags, as they arrive."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from rich.console import Console

from schemas import GenrePrediction, GenreSegment, TagPrediction, decode_event
from schemas.echo import echo
from schemas.errors import MessageError
from services.console.display import print_json, print_prediction, print_segment, print_tags
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings

#: What is listened to, by the name of its topic in `Topics`.
What = Literal["predictions", "segments", "tags"]


async def listen(
    settings: Settings,
    stream_ids: Sequence[str] | None,
    json_lines: bool,
    from_beginning: bool,
    what: What = "predictions",
) -> None:
    """Print what a topic gets until cancelled.

    Raises
    ------
    BrokerError
        No broker answers, or the topic does not exist.
    """
    console = Console()
    wanted = {name.encode() for name in stream_ids or ()}
    reader = TopicReader(settings, [getattr(Topics(settings.topic_prefix), what)])
    await reader.start(from_beginning=from_beginning)
    try:
        async for message in reader.messages():
            if wanted and message.key not in wanted:
                continue
            if json_lines:
                print_json(message.value or b"null")
            else:
                _print(console, message, _SHOW[what])
    finally:
        await reader.stop()


def _print(console: Console, message: Any, show: Callable[[Console, bytes | None], None]) -> None:
    try:
        show(console, message.value)
    except (MessageError, ValueError, OverflowError) as error:
        where = f"{message.topic} partition {message.partition} offset {message.offset}"
        console.print(f"{where}: {echo(str(error))}", style="red", markup=False, soft_wrap=True)


def _show_prediction(console: Console, value: bytes | None) -> None:
    print_prediction(console, decode_event(value, GenrePrediction))


def _show_segment(console: Console, value: bytes | None) -> None:
    print_segment(console, decode_event(value, GenreSegment))


def _show_tags(console: Console, value: bytes | None) -> None:
    print_tags(console, decode_event(value, TagPrediction))


_SHOW: Final = {
    "predictions": _show_prediction,
    "segments": _show_segment,
    "tags": _show_tags,
}

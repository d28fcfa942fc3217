"""``genrestream up``: the whole system, kept running."""

import asyncio

from rich.console import Console

from services.commands.stack import running_stack
from services.runtime.settings import Settings
from services.runtime.topics import Topics

_USAGE = """[bold green]genrestream is up[/bold green] on [bold]{brokers}[/bold] with model \
{model}, until Ctrl-C. Audio sent before the workers are ready waits in the log.

  send     genrestream produce song.flac
           kcat -P -b {brokers} -X message.max.bytes=5000000 -t {chunks} song.wav
  receive  genrestream listen
           kcat -C -b {brokers} -t {predictions} -o end
"""


async def up(settings: Settings, port: int) -> None:
    """Keep the system running until cancelled."""
    async with running_stack(settings, port=port) as stack:
        topics = Topics(settings.topic_prefix)
        Console(stderr=True).print(
            _USAGE.format(
                brokers=stack.settings.brokers,
                model=settings.model,
                chunks=topics.chunks,
                predictions=topics.predictions,
            ),
            highlight=False,
        )
        await stack.while_running(_for_ever())


async def _for_ever() -> None:
    await asyncio.Event().wait()

"""``genrestream worker``: run one service; each imports what it needs when it runs."""

from typing import Annotated, Any

import typer

from services.commands.ending import Ending
from services.console.running import run

app = typer.Typer(no_args_is_help=True, help="Run one service until Ctrl-C or SIGTERM.")

ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A name from models/ or the path of an ONNX file."),
]


@app.command()
def extractor(model: ModelName = None) -> None:
    """Turn audio.chunks into audio.features."""
    ending = Ending().begin()  # before threads of what is imported
    from services.commands.faust_worker import run_extractor

    run_extractor(_settings(model=model), ending)


@app.command()
def classifier(model: ModelName = None) -> None:
    """Turn audio.features into predictions and segments; with GENRESTREAM_HEADS into tags, too."""
    ending = Ending().begin()
    from services.commands.faust_worker import run_classifier

    run_classifier(_settings(model=model), ending)


@app.command()
def gateway() -> None:
    """Serve the page and the API on GENRESTREAM_GATEWAY_PORT."""
    from services.commands.gateway import run_gateway

    run_gateway(_settings())


@app.command()
def receiver() -> None:
    """Listen to stations, and write what they send to audio.chunks."""
    from services.commands.receiver_worker import run_receiver

    run(run_receiver(_settings()), ends_by_signal=True)


@app.command()
def notifier() -> None:
    """Send alarms by the rules in GENRESTREAM_RULES."""
    from services.commands.service import run_notifier

    run_notifier(_settings())


@app.command()
def recorder() -> None:
    """Write predictions, segments and station events into a database."""
    from services.commands.service import run_recorder

    run_recorder(_settings())


def _settings(**overrides: Any) -> Any:
    from services.settings import load_settings

    return load_settings(**overrides)

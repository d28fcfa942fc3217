"""``genrestream notify``: try a rule's channels."""

import time
from typing import Annotated, Any

import typer

from services.console.running import run

app = typer.Typer(no_args_is_help=True, help="Try what the notifier does.")


@app.callback()
def _group() -> None:
    """Keep ``test`` a command of its own."""


@app.command()
def test(rule: Annotated[str, typer.Argument(help="Its name in the file of rules.")]) -> None:
    """Send an alarm and its end to every channel of a rule, as the notifier would.

    For example: GENRESTREAM_RULES=rules.yaml genrestream notify test dead-air
    """
    from services.commands.service import require_extra

    require_extra("notify")
    from schemas.errors import SettingsError
    from services.notifier.rules import load_rules
    from services.settings import load_settings

    settings = load_settings()
    if settings.rules is None:
        raise SettingsError("GENRESTREAM_RULES is not set: name a file of rules")
    rules = load_rules(settings.rules)
    found = next((one for one in rules.rules if one.name == rule), None)
    if found is None:
        names = ", ".join(one.name for one in rules.rules)
        raise SettingsError(f"there is no rule {rule!r} in {settings.rules}: there are {names}")
    failures = [line for kind in ("alarm", "recovery") for line in run(_send(rules, found, kind))]
    for line in failures:
        typer.echo(f"error: {line}", err=True)
    if failures:
        raise typer.Exit(1)
    typer.echo(f"sent to {', '.join(found.send)}")


async def _send(rules: Any, rule: Any, kind: str) -> list[str]:
    from services.notifier.agent import send_test
    from services.notifier.deciding import Notification

    now_ms = round(time.time() * 1000)
    alarm = f"test/{rule.name}/{now_ms}"
    what = f"a test of the rule {rule.name}"
    made = Notification(
        f"{alarm}/{kind}", rule.name, "test", kind, what, now_ms, now_ms, f"{alarm}/alarm"
    )
    return await send_test({name: rules.channels[name] for name in rule.send}, made)

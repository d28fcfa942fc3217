"""Run the recorder or the notifier: services that need no stream processor."""

import logging.config
from collections.abc import Coroutine
from typing import Any

from schemas.errors import SettingsError
from services.console.running import run
from services.observing.logs import log_configuration
from services.settings import Settings

#: The packages that an extra brings, by its name.
_EXTRAS = {"history": ("sqlalchemy", "alembic"), "notify": ("yaml", "paho.mqtt")}


def run_recorder(settings: Settings) -> None:
    """Run a recorder until a signal.

    Raises
    ------
    GenrestreamError
        Something that it needs is missing.
    """
    require_extra("history")
    from services.recorder.agent import record

    _run(settings, record(settings))


def run_notifier(settings: Settings) -> None:
    """Run a notifier until a signal; raises as `run_recorder` does."""
    require_extra("notify")
    from services.notifier.agent import notify

    _run(settings, notify(settings))


def _run(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    logging.config.dictConfig(log_configuration(settings.log_level, settings.log_format))
    run(work, ends_by_signal=True)


def has_extra(name: str) -> bool:
    """Tell whether the packages of an extra are installed."""
    from importlib.util import find_spec

    try:
        return all(find_spec(package) for package in _EXTRAS[name])
    except ModuleNotFoundError:  # not even the package that holds it
        return False


def require_extra(name: str) -> None:
    """Refuse to go on without the packages of an extra.

    Raises
    ------
    SettingsError
        They are not installed.
    """
    if not has_extra(name):
        raise SettingsError(f"this needs more packages: pip install 'genrestream[{name}]'")

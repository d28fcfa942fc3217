"""Logging of the workers and commands: one line a record, on stderr."""

import sys
from typing import Any, Final

_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
#: Libraries that tell more than an operator asks for, except when looking for a fault.
_STREAMING: Final = (
    "faust",
    "mode",
    "aiokafka",
    "asyncio",
    # Ours that are faust's by descent, and talk as much.
    "services.runtime.consumer",
    "services.runtime.table",
    "services.commands.workers",
)
#: Libraries whose debugging nobody asks for, or may see: aiokafka's connection logs its requests,
#: that of SASL PLAIN holds the password.
_CHATTY: Final = ("numba", "aiokafka.conn")


def log_configuration(level: str) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`."""
    library_level = level if level == "DEBUG" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": _FORMAT}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            **{name: {"level": library_level} for name in _STREAMING},
            **{name: {"level": "WARNING"} for name in _CHATTY},
        },
    }

"""Logging of the workers and commands on stderr: lines for people, or an object of JSON a line."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from schemas.errors import GenrestreamError

LogFormat = Literal["auto", "human", "json"]

_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
#: What a record may say beside its message; given as ``extra`` when it is logged.
FIELDS: Final = ("service", "topic", "partition", "offset", "stream", "event_id", "traceparent")
#: Libraries that tell more than an operator asks for, except when looking for a fault.
_STREAMING: Final = (
    "faust",
    "mode",
    "aiokafka",
    "asyncio",
    # Ours that are faust's by descent, and talk as much.
    "services.kafka.faust_fixes",
    "services.kafka.latest_table",
    "services.commands.faust_worker",
)
#: Libraries whose debugging nobody asks for, or may see: aiokafka's connection logs its requests,
#: that of SASL PLAIN holds the password.
_CHATTY: Final = ("numba", "aiokafka.conn", "alembic")


class HumanFormatter(logging.Formatter):
    """A line, and a traceback where the text of an error does not say all."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback, or the text of an error that says all."""
        error = ei[1]
        if isinstance(error, GenrestreamError) and error.says_all:
            return str(error)
        return super().formatException(ei)


class JsonFormatter(HumanFormatter):
    """One JSON object a line: timestamp, level, logger, message, and those of `FIELDS` it has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "timestamp": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: vars(record)[name] for name in FIELDS if vars(record).get(name) is not None},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode()


def log_configuration(level: str, log_format: LogFormat = "auto") -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`.

    Parameters
    ----------
    level
        Of our own loggers; libraries are quiet unless it is DEBUG.
    log_format
        ``auto`` is for people on a terminal, and JSON elsewhere.
    """
    library_level = level if level == "DEBUG" else "WARNING"
    if log_format == "auto":
        log_format = "human" if sys.stderr.isatty() else "json"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "human": {"()": HumanFormatter, "fmt": _FORMAT},
            "json": {"()": JsonFormatter},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": log_format,
                "stream": sys.stderr,
            }
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            **{name: {"level": library_level} for name in _STREAMING},
            **{name: {"level": "WARNING"} for name in _CHATTY},
        },
    }

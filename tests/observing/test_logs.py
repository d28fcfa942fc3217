"""Logs: an object a line for machines, with the place of the message that is spoken of."""

import json
import logging
import logging.config
import sys

import pytest

from schemas import Place
from schemas.errors import GenrestreamError
from services.kafka import faust_fixes
from services.observing.logs import JsonFormatter, log_configuration
from services.processing.log_fields import message_fields
from services.processing.records import Record

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
RECORD = Record(
    Place("audio.features", 2, 17),
    0,
    b"radio",
    b"",
    [("ce_id", b"audio.chunks/2/5/librosa-52/3"), ("traceparent", TRACEPARENT.encode())],
)


def _logged(capsys: pytest.CaptureFixture[str], log_format: str, level: str = "INFO") -> list[str]:
    configuration = log_configuration(level, log_format)  # type: ignore[arg-type]
    configuration["root"]["handlers"] = []
    configuration["loggers"] = {"tests.logs": {"level": level, "handlers": ["stderr"]}}
    logging.config.dictConfig(configuration)
    logger = logging.getLogger("tests.logs")
    fields = message_fields(RECORD, "classifier", "radio")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("dead letter: %s: %s", RECORD.place, 'a "quoted" reason', extra=fields)
    logger.info("plain")
    return capsys.readouterr().err.splitlines()


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(json.loads, _logged(capsys, "json"))
    assert first.pop("timestamp").endswith("Z")
    assert "ValueError: two\nlines" in first.pop("exception")
    assert first == {
        "level": "ERROR",
        "logger": "tests.logs",
        "message": 'dead letter: audio.features[2]@17: a "quoted" reason',
        "service": "classifier",
        "topic": "audio.features",
        "partition": 2,
        "offset": 17,
        "stream": "radio",
        "event_id": "audio.chunks/2/5/librosa-52/3",
        "traceparent": TRACEPARENT,
    }
    assert second.keys() == {"timestamp", "level", "logger", "message"}


def test_people_read_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _logged(capsys, "human")
    assert lines[0].endswith('dead letter: audio.features[2]@17: a "quoted" reason')
    assert lines[-1].endswith("INFO    tests.logs: plain")


@pytest.mark.parametrize(("terminal", "expected"), [(True, "human"), (False, "json")])
def test_auto(monkeypatch: pytest.MonkeyPatch, terminal: bool, expected: str) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert log_configuration("INFO")["handlers"]["stderr"]["formatter"] == expected


def test_what_json_cannot_say_is_written_all_the_same() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (b"\xff",), None)
    record.stream = object()
    assert json.loads(JsonFormatter().format(record))["stream"].startswith("<object")


@pytest.mark.parametrize("log_format", ["json", "human"])
def test_an_error_that_says_all_has_no_traceback(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    class Plain(GenrestreamError):
        says_all = True

    _logged(capsys, log_format)
    for error in (Plain("the user lag may not"), GenrestreamError("unforeseen")):
        try:
            raise error from ValueError("its cause")
        except GenrestreamError:
            logging.getLogger("tests.logs").exception("cannot go on")
    said, unforeseen = capsys.readouterr().err.split("unforeseen", 1)[0].split("cannot go on")[1:]
    assert "the user lag may not" in said
    assert "Traceback" not in said
    assert "Traceback" in unforeseen


def test_an_operator_is_told_that_a_worker_is_ready() -> None:
    """And not what faust's classes talk of beside that."""
    loggers = log_configuration("INFO")["loggers"]
    for name in (faust_fixes.logger.name, "services.processing.outbox"):
        parents = [".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 2)]
        assert not [parent for parent in parents if parent in loggers]
    assert loggers[faust_fixes.__name__]["level"] == "WARNING"

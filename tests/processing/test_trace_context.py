import pytest

from schemas import Place
from schemas.echo import MAX_ECHO, echo
from services.observing.tracing import traceparent
from services.processing.log_fields import message_fields
from services.processing.records import Record
from services.processing.trace_context import valid_traceparent

GOOD = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        f"{GOOD}0",
        GOOD.upper(),
        f"ff{GOOD[2:]}",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        "\ue000" * 1000,
        GOOD * 100_000,
    ],
)
def test_what_is_no_trace_context_is_dropped(text: str) -> None:
    record = Record(Place("t", 0, 0), 0, b"k", b"", [("traceparent", text.encode())])
    assert valid_traceparent(text) is None
    assert traceparent(record) is None
    assert message_fields(record, "extractor", "k")["traceparent"] is None


def test_a_trace_context_is_passed_on() -> None:
    record = Record(Place("t", 0, 0), 0, b"k", b"", [("traceparent", GOOD.encode())])
    assert traceparent(record) == GOOD


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\u202e", "\ue000" * 10**6, "\x00"])
def test_what_is_echoed_is_printable_and_short(text: str) -> None:
    assert echo(text).isprintable()
    assert len(echo(text)) < 12 * MAX_ECHO

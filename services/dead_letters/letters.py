"""Dead letters as an operator sees them: where they lie, where they came from and why."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from schemas import DeadLetterReason, Headers, decode_dead_letter, original_headers
from schemas.errors import GenrestreamError, MessageError, SettingsError

_AGE_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class NoSuchLetter(GenrestreamError):
    """There is no dead letter at a place, or none is chosen."""

    code = "no-such-letter"


class LetterPlace(NamedTuple):
    """Partition and offset of a dead letter in its topic; written ``PARTITION:OFFSET``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


def parse_place(text: str) -> LetterPlace:
    """Read ``PARTITION:OFFSET``.

    Raises
    ------
    SettingsError
        It is something else.
    """
    match = re.fullmatch(r"(\d{1,9}):(\d{1,18})", text, re.ASCII)
    if not match:
        raise SettingsError(
            f"{text!r} is no place of a dead letter: write PARTITION:OFFSET, as genrestream "
            "dead-letters list shows them"
        )
    return LetterPlace(int(match[1]), int(match[2]))


def parse_since(text: str, now: datetime) -> datetime:
    """Read an age such as ``90s``, ``15m``, ``2h`` or ``7d``, or a time by ISO 8601.

    Raises
    ------
    SettingsError
        It is neither.
    """
    if match := re.fullmatch(r"(\d{1,6})([smhd])", text, re.ASCII):
        return now - timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"--since {text!r} is no time: write an age (90s, 15m, 2h, 7d) or a time by ISO 8601 "
            "(2026-01-31T12:00:00Z)"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its value, which may be large.

    Attributes
    ----------
    place
        Where it lies.
    timestamp_ms
        When it was written.
    key, headers
        The message's own.
    size
        Bytes of the value.
    reason
        Where the message came from and why it could not be processed; ``None`` when something
        else wrote to the topic.
    """

    place: LetterPlace
    timestamp_ms: int
    key: bytes | None
    headers: Headers
    size: int
    reason: DeadLetterReason | None

    @property
    def stream_id(self) -> str:
        """The key as text."""
        return (self.key or b"").decode(errors="backslashreplace")

    @property
    def service(self) -> str:
        """Service that could not process the message."""
        return self.reason.service if self.reason else "-"

    @property
    def cause(self) -> str:
        """Where the message came from, as text."""
        if self.reason is None:
            return "-"
        place = self.reason.place
        return f"{place.topic} {place.partition}:{place.offset}"

    @property
    def is_cut(self) -> bool:
        """Tell whether it does not hold its whole message."""
        return self.reason is not None and self.reason.cut_from is not None

    @property
    def error(self) -> str:
        """Code of the error."""
        return self.reason.error if self.reason else "no-dead-letter"


def read_letter(record: Any) -> Letter:
    """Make a letter of aiokafka's record."""
    headers = [(name, value or b"") for name, value in record.headers]
    try:
        reason = decode_dead_letter(headers)
    except MessageError:
        reason = None
    return Letter(
        LetterPlace(record.partition, record.offset),
        record.timestamp,
        record.key,
        original_headers(headers),
        len(record.value or b""),
        reason,
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is not given does not restrict.

    Attributes
    ----------
    errors, services
        Codes of errors and names of services.
    topics
        Topics that the messages came from.
    stream_ids
        Keys.
    since
        Written at that time or later.
    places
        These letters alone.
    """

    errors: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    stream_ids: frozenset[str] = frozenset()
    since: datetime | None = None
    places: frozenset[LetterPlace] = frozenset()

    @property
    def is_open(self) -> bool:
        """Tell whether every letter is meant."""
        return self == Filter()

    def accepts(self, letter: Letter) -> bool:
        """Tell whether a letter is meant."""
        reason = letter.reason
        checks = (
            (self.errors, letter.error),
            (self.services, letter.service),
            (self.topics, reason.place.topic if reason else None),
            (self.stream_ids, letter.stream_id),
            (self.places, letter.place),
        )
        if any(wanted and value not in wanted for wanted, value in checks):
            return False
        return self.since is None or letter.timestamp_ms >= 1000 * self.since.timestamp()

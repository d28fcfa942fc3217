"""Dead letters as messages: whole, or shorter where the topic does not take so many bytes."""

import hashlib
from typing import Final

from schemas import Headers, cut_headers, dead_letter_headers, original_headers
from services.processing.log import Message
from services.processing.records import DeadLetter

#: What a cut letter keeps of a value, and of a key and each header.
KEPT_VALUE: Final = 64 * 1024
_KEPT_TEXT: Final = 1024
_KEPT_HEADERS: Final = 32


def as_it_is(topic: str, letter: DeadLetter, service: str) -> Message:
    """Return a letter with the message's own key, bytes and headers."""
    record = letter.record
    return Message(topic, record.key, record.value, letter.headers(service))


def cut(topic: str, letter: DeadLetter, service: str) -> Message:
    """Return a letter with the beginning of the message, its size and its digest."""
    record = letter.record
    headers = [(name[:_KEPT_TEXT], value[:_KEPT_TEXT]) for name, value in _first(letter, service)]
    key = None if record.key is None else record.key[:_KEPT_TEXT]
    return Message(topic, key, record.value[:KEPT_VALUE], headers + _cut_headers(letter))


def by_reference(topic: str, letter: DeadLetter, service: str) -> Message:
    """Return a letter that names the message's place, size and digest, and holds none of it."""
    return Message(topic, None, b"", _reason(letter, service) + _cut_headers(letter))


def _first(letter: DeadLetter, service: str) -> Headers:
    own = original_headers(letter.record.headers)
    return own[:_KEPT_HEADERS] + _reason(letter, service)


def _reason(letter: DeadLetter, service: str) -> Headers:
    record = letter.record
    return dead_letter_headers(record.place, record.timestamp_ms, service, letter.error, [])


def _cut_headers(letter: DeadLetter) -> Headers:
    value = letter.record.value
    return cut_headers(len(value), hashlib.sha256(value).hexdigest())

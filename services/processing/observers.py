"""What the processor tells to those that count and trace."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from schemas import Place
from services.processing.core import Outputs
from services.processing.records import Record, Step


class Meter(Protocol):
    """Counts the work."""

    def consumed(self, place: Place) -> None:
        """Count a message that was taken in."""

    def processed(self, seconds: float, messages: int = 1) -> None:
        """Note how long processing took; messages processed together share it equally."""

    def delivered(self, step: Step[Any, Any, Any], topics: Outputs, now: float) -> None:
        """Count what the broker has taken of a step."""


class Tracing(Protocol):
    """Carries trace context from a message to what comes of it."""

    def span(self, record: Record | None, began_ns: int) -> AbstractContextManager[str | None]:
        """Give the ``traceparent`` that what comes of a message is sent with."""

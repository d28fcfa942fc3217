"""What queries answer: values, which know no database."""

from typing import Literal

from msgspec import Struct

By = Literal["label", "content"]


class Step(Struct, frozen=True):
    """What a station played in a span of time.

    Attributes
    ----------
    begin_ms, end_ms
        The span, in ms since 1970.
    heard_seconds
        How much of it was heard.
    missing_chunks
        Chunks that are missing in it.
    level_dbfs
        Mean level; ``None`` where it is not known.
    shares
        Fraction of what was heard, by label or content, the greatest first; they sum to 1.
    model
        Whose answers they are; ``None`` where nothing was heard.
    """

    begin_ms: int
    end_ms: int
    heard_seconds: float
    missing_chunks: int
    level_dbfs: float | None
    shares: dict[str, float]
    model: str | None

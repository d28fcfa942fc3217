"""What a stream had for labels lately: spans of time, and the strips that a page draws of them."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
#: A label that changes at every window for four hours; then the oldest spans go.
MAX_SPANS: Final = 4_800
#: Windows that begin so soon after the last one's end join it: GENRESTREAM_HOP_SECONDS may leave
#: 3 s between them, and clocks jitter.
_JOIN_MS: Final = 3_500


@dataclass(slots=True)
class Span:
    """A time with one label, in milliseconds since 1970: ``end`` is not in it."""

    start: int
    end: int
    label: str


@dataclass(slots=True)
class Strip:
    """The spans of the last day of one stream, in order and without overlap.

    What is between two spans was not heard.
    """

    spans: list[Span] = field(default_factory=list)

    @property
    def last(self) -> Span | None:
        """The latest span."""
        return self.spans[-1] if self.spans else None

    def hear(self, start: int, end: int, label: str, since: int | None = None) -> None:
        """Add a window.

        Parameters
        ----------
        start, end
            Of the window.
        label
            That holds now.
        since
            When it began to hold, if that was before the window: what was heard from there on
            takes this label.
        """
        last = self.last
        if last and end <= last.end:
            return  # a repetition
        if last and last.label != label and since is not None and since < start:
            self._relabel(since, label)
            last = self.last
        if last and last.label == label and start - last.end <= _JOIN_MS:
            last.end = end
        else:
            self.spans.append(Span(max(start, last.end if last else start), end, label))
        self._forget(end - DAY_MS)

    def fill(self, start: int, end: int, label: str) -> None:
        """Add what is told of an earlier time, where nothing is known of it yet."""
        holes = list(self._holes(start, end))
        if holes:
            self.spans += [Span(begin, stop, label) for begin, stop in holes]
            self.spans.sort(key=lambda span: span.start)
            self._forget(self.spans[-1].end - DAY_MS)

    def _holes(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        begin = bisect_right(self.spans, start, key=lambda span: span.end)
        for span in self.spans[begin:]:
            if span.start >= end:
                break
            if span.start > start:
                yield start, span.start
            start = span.end
        if start < end:
            yield start, end

    def _relabel(self, since: int, label: str) -> None:
        """Give what was heard from `since` on another label."""
        changed: list[Span] = []
        while self.spans and self.spans[-1].end > since:
            span = self.spans.pop()
            changed.append(Span(max(span.start, since), span.end, label))
            if span.start < since:
                self.spans.append(Span(span.start, since, span.label))
                break
        for span in reversed(changed):
            last = self.last
            if last and last.label == label and span.start - last.end <= _JOIN_MS:
                last.end = span.end
            else:
                self.spans.append(span)

    def _forget(self, before: int) -> None:
        gone = bisect_right(self.spans, before, key=lambda span: span.end)
        gone = max(gone, len(self.spans) - MAX_SPANS)
        if gone > 0:
            del self.spans[:gone]

    def cells(self, end: int, step: int, count: int) -> list[str | None]:
        """Cut the time before `end` into cells, and name the label that fills most of each.

        Parameters
        ----------
        end
            End of the last cell, in milliseconds since 1970.
        step
            Length of a cell, in ms.
        count
            Number of cells.

        Returns
        -------
        A label a cell; ``None`` where more than half was not heard, except in the last cell, which
        is under way.
        """
        start = end - step * count
        shares: list[dict[str, int]] = [{} for _ in range(count)]
        first = bisect_right(self.spans, start, key=lambda span: span.end)
        for span in self.spans[first:]:
            for cell in range(max(0, (span.start - start) // step), count):
                begin = start + cell * step
                length = min(span.end, begin + step) - max(span.start, begin)
                if length <= 0:
                    break
                shares[cell][span.label] = shares[cell].get(span.label, 0) + length
        return [_winner(cell, step // 2 if i < count - 1 else 1) for i, cell in enumerate(shares)]


def _winner(shares: dict[str, int], least: int) -> str | None:
    if sum(shares.values()) < least:
        return None
    return max(shares, key=shares.__getitem__)

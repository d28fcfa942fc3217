"""What the log says of dead letters: the first ones in full, then how many of which error."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.echo import echo
from services.processing.records import DeadLetter


@dataclass
class LetterLog:
    """Decides which lines to log, so that a flood of bad messages does not flood the log.

    Parameters
    ----------
    in_full
        How many letters of a span are logged each.
    span_seconds
        Length of a span; at its end the others are summed up.
    """

    in_full: int = 10
    span_seconds: float = 10.0
    _begun: float = 0.0
    _logged: int = 0
    _left_out: Counter[str] = field(default_factory=Counter)

    def line(self, letter: DeadLetter, now: float) -> str | None:
        """Return the line for a letter; ``None`` when it is to be summed up later.

        Parameters
        ----------
        letter
            The letter.
        now
            Seconds of a clock that only goes forward.
        """
        if self._logged == 0:
            self._begun = now
        if self._logged < self.in_full:
            self._logged += 1
            return f"dead letter: {letter.record.place}: {echo(str(letter.error))}"
        self._left_out[letter.error.code] += 1
        return None

    def summary(self, now: float) -> str | None:
        """Return the line for what was left out, when the span is over."""
        if now - self._begun < self.span_seconds:
            return None
        left_out, self._left_out = self._left_out, Counter()
        self._logged = 0
        if not left_out:
            return None
        counts = ", ".join(f"{count} {code}" for code, count in left_out.most_common())
        return f"{left_out.total()} dead letters more: {counts}; see genrestream dead-letters list"

"""How much one client may ask for: a bucket of tokens each, of which old ones are forgotten."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

_MAX_CLIENTS: Final = 10_000


@dataclass(slots=True)
class RateLimit:
    """So many requests at once, and so many a second after that, for each client.

    Parameters
    ----------
    burst
        Requests at once.
    per_second
        Requests a second that are given back.
    """

    burst: float
    per_second: float
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str, now: float, amount: float = 1.0) -> float:
        """Take from a client's bucket.

        Returns
        -------
        0 where it holds enough; else the seconds until it will, and nothing is taken.
        """
        left = self._left(client, now)
        if left >= amount:
            self._put(client, left - amount, now)
            return 0.0
        self._put(client, left, now)
        return (amount - left) / self.per_second

    def wait(self, client: str, now: float) -> float:
        """Return the seconds until a client has one request again, without taking it."""
        return max(0.0, (1.0 - self._left(client, now)) / self.per_second)

    def _left(self, client: str, now: float) -> float:
        left, then = self._buckets.get(client, (self.burst, now))
        return min(self.burst, left + max(0.0, now - then) * self.per_second)

    def _put(self, client: str, left: float, now: float) -> None:
        self._buckets[client] = (left, now)
        self._buckets.move_to_end(client)
        while len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)

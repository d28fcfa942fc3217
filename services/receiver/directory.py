"""Which stations the partitions of a receiver hold, by the messages of the topic ``stations``.

A partition is read from its beginning each time it is assigned. Until its end is reached, what it
says is out of date: a station that was changed is there as it was before, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas import Station


@dataclass
class Directory:
    """Stations by partition."""

    _stations: dict[int, dict[str, Station]] = field(default_factory=dict)
    _complete: set[int] = field(default_factory=set)

    def assign(self, partitions: Iterable[int]) -> None:
        """Begin anew with these partitions, of which nothing is known yet."""
        self._stations = {partition: {} for partition in partitions}
        self._complete = set()

    def take(self, partition: int, station_id: str, station: Station | None) -> None:
        """Take a message: a station, or ``None`` where it is removed."""
        stations = self._stations.get(partition)
        if stations is None:  # a late message of a partition that is another receiver's now
            return
        stations.pop(station_id, None)
        if station is not None:
            stations[station_id] = station

    def reached_end(self, partition: int) -> None:
        """Note that nothing is left to read of a partition."""
        if partition in self._stations:
            self._complete.add(partition)

    def wanted(self) -> dict[str, tuple[int, Station]]:
        """Return partition and station by the id, of the partitions that were read to their end."""
        return {
            station_id: (partition, station)
            for partition in self._complete
            for station_id, station in self._stations[partition].items()
        }

    def is_complete(self, partition: int) -> bool:
        """Tell whether a partition was read to its end."""
        return partition in self._complete

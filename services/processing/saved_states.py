"""The saved states of streams: a table with a changelog, its values JSON."""

import logging
import time
from collections.abc import MutableMapping
from typing import Final, Generic

import msgspec

from schemas.echo import echo
from services.processing.core import Core, Output, Saved, State
from services.processing.records import Progress

logger = logging.getLogger(__name__)


#: Clocks of workers may differ by so much (s).
_TOMORROW: Final = 86_400.0
#: Of a key and a value in a dictionary, beside their own bytes.
_ENTRY_BYTES: Final = 200


class Entry(msgspec.Struct, frozen=True):
    """What the table and its changelog hold of a stream.

    Attributes
    ----------
    saved_at
        When it was saved, in seconds since 1970.
    state
        What the core saves, as JSON.
    """

    saved_at: float
    state: msgspec.Raw


class SavedStates(Generic[State, Saved, Output]):
    """Saved states by key, which is the partition and the id of a stream.

    One that cannot be read, written by another release or damaged, counts as none: its stream
    begins anew, which is better than a worker that fails at each start.

    Parameters
    ----------
    states
        Holds bytes, as the changelog has them.
    core
        Knows what the states mean.
    """

    def __init__(
        self, states: MutableMapping[str, bytes], core: Core[State, Saved, Output]
    ) -> None:
        self._data = states
        self._core = core
        self._decoder = msgspec.json.Decoder(core.saved_type)

    def load(self, key: str) -> Saved | None:
        """Return the saved state of a stream, if there is one that can be read."""
        found = self.entry(key)
        return found[0] if found else None

    def entry(self, key: str) -> tuple[Saved, float] | None:
        """Return the saved state of a stream and when it was saved (s since 1970)."""
        value = self._data.get(key)
        return None if value is None else self._read(key, value)

    def resume(self, stream_id: str, saved: Saved, end: int | None) -> State | None:
        """Take a stream up again; it begins anew rather than fail at every start.

        Parameters
        ----------
        stream_id, saved
            It.
        end
            Offset behind the last message of its log, if known: a state that reaches further is of
            messages that nobody has sent yet.
        """
        name, reached = echo(stream_id), self._core.reaches(saved)
        if end is not None and reached > end:
            text = "stream %s begins anew: its saved state reaches offset %d, and the log %d"
            logger.error(text, name, reached, end)
            return None
        try:
            return self._core.resume(stream_id, saved)
        except Exception:
            logger.exception("stream %s begins anew: its saved state cannot be used", name)
            return None

    def items(self) -> list[tuple[str, bytes]]:
        """Return the keys and their bytes as they are now."""
        return list(self._data.items())

    def get(self, key: str) -> bytes | None:
        """Return the bytes of a state, as the table has them."""
        return self._data.get(key)

    @staticmethod
    def size(key: str, value: bytes) -> int:
        """Return about how many bytes of memory a state takes."""
        return len(key) + len(value) + _ENTRY_BYTES

    def encode(self, saved: Saved) -> bytes:
        """Return what is to be written for a state that is saved now."""
        state = msgspec.Raw(msgspec.json.encode(saved))
        return msgspec.json.encode(Entry(time.time(), state))

    def progress(self, value: bytes) -> Progress:
        """Order the table's values of one stream; one that cannot be read comes before all."""
        found = self._read("", value)
        return self._core.progress(found[0]) if found else ()

    def _read(self, key: str, value: bytes) -> tuple[Saved, float] | None:
        try:
            entry = msgspec.json.decode(value, type=Entry)
            if entry.saved_at > time.time() + _TOMORROW:
                raise msgspec.ValidationError("it was saved in the future")
            return self._decoder.decode(entry.state), entry.saved_at
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            logger.error("the saved state of stream %s does not parse: %s", key or "-", error)  # noqa: TRY400
            return None

"""What a file holds: stretches that one decoder each hears from beginning to end.

Audio that was joined, cut, damaged or captured from a station has several. The walk over a
container's frames, pages or chunks finds them all, so that what is heard can be compared with what
is there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from features.formats.spliced import Source
from schemas.errors import AudioError

Decoder = Literal["libsndfile", "flac frames", "ffmpeg"]

UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Fault:
    """What was left out, and where.

    Attributes
    ----------
    position
        Of its first byte in the file.
    length
        In bytes.
    what
        In words.
    seconds
        How much audio was lost, as far as that can be told.
    """

    position: int
    length: int
    what: str
    seconds: float = 0.0

    def __str__(self) -> str:
        where = f"at byte {self.position}"
        lost = f"{self.seconds:.3g} s of audio" if self.seconds else ""
        if not self.length:
            return f"{self.what}, {where}" + (f": {lost} left out" if lost else "")
        more = f", {lost}" if lost else ""
        return f"{self.what}: {self.length} bytes {where}{more} left out"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that one decoder hears.

    Attributes
    ----------
    format
        Name of its row in the table of formats.
    source
        Its bytes, in order; the whole file as it is where that is sound.
    position
        Where it begins in the file.
    frames
        Samples of a channel that the bytes hold; `UNKNOWN` where they do not say.
    tolerance
        By how many fewer a decoder may hear: what an encoder adds in front and behind.
    decoder
        Which hears it.
    demuxer
        What ffmpeg calls the container; several that it may try, with commas.
    seconds
        How long it is, where that is known but not its rate; else 0.
    encoding
        What encoded the audio, in words, where that is not what the container usually holds.
    """

    format: str
    source: Source
    position: int
    frames: int = UNKNOWN
    tolerance: int = 0
    decoder: Decoder = "libsndfile"
    demuxer: str = ""
    seconds: float = 0.0
    encoding: str = ""


@dataclass(slots=True)
class Survey:
    """What was found in a file.

    Attributes
    ----------
    parts
        In the order of the file.
    faults
        What was left out.
    refusal
        What to say where no decoder hears what was not recognised.
    """

    parts: list[Part] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    refusal: AudioError | None = None


#: Notes the parts of a container that begins at a place, and returns where it ends.
Walk = Callable[[Source, int, int, Survey], int]

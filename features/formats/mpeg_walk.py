"""Walk over all frames of MPEG audio, whatever lies between them, and put them in order.

A player goes on after a title of a station, a tag, a lost block or half a frame. libsndfile stops
there without a word, so it is given the frames alone, each kind of frames by itself.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from features.formats.mpeg import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    TAG_REACH,
    Frame,
    counted_frames,
    counting_frame,
    parse_frame,
)
from features.formats.parts import Fault, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, piece, read_at, size_of, splice
from features.formats.tags import ICY_TITLE, after_tag

_BLOCK: Final = 1 << 20
_SYNC: Final = re.compile(rb"\xff[\xe2-\xff]")
_COUNTING_TAG: Final = re.compile(rb"Xing|Info|VBRI")
#: Frames that must follow each other where nothing else says that there are any.
_SURE: Final = 4
#: Frames by which a decoder may hear less than there are: the encoder's delay, and the last one.
_TOLERANCE: Final = 4
_NAMES: Final = {1: "mp2", 2: "mp2", 3: "mp3"}
_COUNTING_LAYER: Final = 3
_TAGS: Final = (b"ID3", b"TAG", b"APETAGEX")
_TAG_HEAD: Final = 10
#: A counting tag begins at most so many bytes behind the header of its frame.
_TAG_PLACE: Final = 40
#: Searches for the length of frames of the free format, so that hostile bytes cost little.
_FREE_SEARCHES: Final = 64


@dataclass(slots=True)
class _Run:
    """Frames of one kind that follow each other.

    Attributes
    ----------
    start, end, last
        Of the first frame, behind the last one, and where that begins.
    frame
        The first.
    tag
        Its counting tag.
    frames
        How many there are.
    bit_rates
        Of all frames that hold audio.
    pieces
        Their bytes: start and end.
    """

    start: int
    frame: Frame
    tag: bytes
    end: int = 0
    last: int = 0
    frames: int = 0
    bit_rates: set[int] = field(default_factory=set)
    pieces: list[tuple[int, int]] = field(default_factory=list)

    @property
    def kind(self) -> tuple[int, int, int, int]:
        """What a decoder hears one of."""
        return self.frame.kind

    def seconds(self, frames: int) -> float:
        """Return how long frames last."""
        return frames * self.frame.samples / self.frame.sample_rate

    def drop_last(self) -> None:
        """Take out the last frame, of which a part is missing."""
        self.frames -= 1
        self.end = self.last
        self.pieces[-1] = (self.pieces[-1][0], self.last)


class _Window:
    """The bytes around a place in a file."""

    def __init__(self, source: Source, end: int) -> None:
        self._source, self.end = source, end
        self._base, self._data = 0, b""
        self._free_searches = 0
        self._free_lengths: dict[tuple[int, int, int, int], int] = {}

    def at(self, position: int, size: int) -> bytes:
        """Return at most so many bytes from a place."""
        inside = position - self._base
        if inside < 0 or inside + size > len(self._data):
            self._load(position)
            inside = 0
        return self._data[inside : inside + min(size, self.end - position)]

    def _load(self, position: int) -> None:
        size = max(0, min(_BLOCK, self.end - position))
        self._base, self._data = position, read_at(self._source, position, size)

    def follow(self, run: _Run) -> None:
        """Count the frames that touch each other, from the first one of a run on, of its kind.

        It ends before a counting tag that is not the first frame's: that begins another file. An
        hour has 138,000 frames, so nothing is called for each of them that need not be.
        """
        known: dict[bytes, int] = {}
        place = last = run.start
        count = 0
        while True:
            data, inside = self._data, place - self._base
            if inside < 0 or inside + TAG_REACH > len(data):
                self._load(place)
                data, inside = self._data, 0
            if count:
                begin = data[inside + HEADER_BYTES : inside + _TAG_PLACE + HEADER_BYTES]
                if b"Xing" in begin or b"Info" in begin or b"VBRI" in begin:
                    break
            head = data[inside : inside + HEADER_BYTES]
            length = known.get(head) or self._learn(head, place, run, known)
            if not length or place + length > self.end:
                break
            last, place = place, place + length
            count += 1
        run.frames, run.last, run.end = count, last, place
        run.pieces.append((run.start, place))

    def _learn(self, head: bytes, place: int, run: _Run, known: dict[bytes, int]) -> int:
        """Return the length of a frame with a new header; 0 where no whole one of the run is."""
        frame = parse_frame(head)
        length = self.length(place, frame) if frame and frame.kind == run.kind else 0
        if frame is None or not length or place + length > self.end:
            return 0
        if place != run.start or not run.tag:  # a frame with a tag holds no audio
            run.bit_rates.add(frame.bit_rate)
            known[head] = length
        return length

    def frame(self, position: int) -> Frame | None:
        """Return the frame at a place, if a header is there and all of it is in the file."""
        frame = parse_frame(self.at(position, HEADER_BYTES))
        length = self.length(position, frame) if frame else 0
        return frame if length and position + length <= self.end else None

    def length(self, position: int, frame: Frame) -> int:
        """Return the length of a frame, also of the free format, where the next one tells."""
        if frame.length:
            return frame.length
        if frame.kind not in self._free_lengths:
            length = self._free_length(position, frame)
            if not length:
                return 0
            self._free_lengths[frame.kind] = length
        return self._free_lengths[frame.kind] + frame.padding

    def _free_length(self, position: int, frame: Frame) -> int:
        self._free_searches += 1
        if self._free_searches > _FREE_SEARCHES:
            return 0
        data = self.at(position, 2 * MAX_FRAME_BYTES)
        for found in _SYNC.finditer(data, HEADER_BYTES, MAX_FRAME_BYTES):
            following = parse_frame(data[found.start() : found.start() + HEADER_BYTES])
            if following and not following.bit_rate and following.kind == frame.kind:
                return found.start() - frame.padding
        return 0

    def counting_tag(self, position: int) -> bytes:
        """Return the counting tag of the frame at a place, from its name on; nothing for none."""
        found = _COUNTING_TAG.search(self.at(position, TAG_REACH), HEADER_BYTES)
        if found is None or found.start() > _TAG_PLACE:
            return b""
        return self.at(position + found.start(), TAG_REACH)

    def next_sync(self, position: int, limit: int, sure: int = 1) -> int | None:
        """Find the next frame that is followed by others of its kind, before a limit."""
        while position < limit:
            data = self.at(position, min(_BLOCK, limit - position))
            for found in _SYNC.finditer(data):
                if self.is_confirmed(position + found.start(), sure):
                    return position + found.start()
            position += max(1, len(data) - 1)
        return None

    def is_confirmed(self, position: int, sure: int = 1) -> bool:
        """Tell whether so many frames of a kind are here, and behind them one more or the end."""
        frame = self.frame(position)
        if frame is None:
            return False
        following = position + self.length(position, frame)
        head = self.at(following, _TAG_HEAD)
        if len(head) < HEADER_BYTES or head.startswith(_TAGS):
            return sure == 1
        after = parse_frame(head[:HEADER_BYTES])
        if after is None or after.kind != frame.kind:
            return False
        return sure == 1 or self.is_confirmed(following, sure - 1)


def is_mpeg(source: Source, position: int, end: int) -> bool:
    """Tell whether frames of MPEG audio begin at a place."""
    return _Window(source, end).is_confirmed(position)


def find_mpeg(source: Source, position: int, end: int) -> int | None:
    """Find frames of MPEG audio where nothing says that there are any."""
    return _Window(source, end).next_sync(position, end, _SURE)


def walk_mpeg(source: Source, position: int, end: int, survey: Survey) -> int:
    """Note the MPEG audio that begins at a place; return where it ends."""
    window = _Window(source, end)
    runs: list[_Run] = []
    start: int | None = position
    while start is not None:
        run = _follow(window, start)
        if runs and (run.tag or run.kind != runs[-1].kind):
            survey.parts.append(_part(source, runs))
            runs = []
        runs.append(run)
        start = _go_on(window, source, run, survey)
    survey.parts.append(_part(source, runs))
    return runs[-1].end


def _follow(window: _Window, position: int) -> _Run:
    """Follow frames of one kind that touch each other."""
    first = window.frame(position)
    assert first, "a confirmed frame is one"
    run = _Run(position, first, window.counting_tag(position))
    window.follow(run)
    return run


def _go_on(window: _Window, source: Source, run: _Run, survey: Survey) -> int | None:
    """Find where frames go on, and note what was left out; ``None`` where they do not."""
    position = run.end
    while (behind := after_tag(source, position, window.end)) > position:
        position = behind
    if window.is_confirmed(position):
        if position > run.end:
            survey.faults.append(Fault(run.end, position - run.end, "a tag, a title or zeros"))
        return position
    rest = window.end - position
    if rest < HEADER_BYTES or _is_cut_frame(window, position, run.frame):
        run.end = window.end
        return None
    limit = other_container(source, position, window.end) if rest > 0 else position
    found = window.next_sync(run.last + HEADER_BYTES, limit, 2)
    if found is None:
        return None
    if found < run.end:
        run.drop_last()
        survey.faults.append(Fault(run.last, found - run.last, "part of a frame", run.seconds(1)))
        return found
    _leave_out(window, run, found, survey)
    return found


def _is_cut_frame(window: _Window, position: int, before: Frame) -> bool:
    """Tell whether the file ends within the frame here, which is one more of its kind."""
    frame = parse_frame(window.at(position, HEADER_BYTES))
    if frame is None or (frame.kind, not frame.length) != (before.kind, not before.length):
        return False
    return 0 < window.end - position <= (frame.length or MAX_FRAME_BYTES)


def _leave_out(window: _Window, run: _Run, found: int, survey: Survey) -> None:
    """Leave out what is between the frames; of a title within the last frame, only the title."""
    data = window.at(run.last, found - run.last)
    title = ICY_TITLE.search(data)
    length = 1 + 16 * data[title.start()] if title else 0
    if title and found - run.last - length == run.end - run.last:
        place = run.last + title.start()
        run.pieces[-1] = (run.pieces[-1][0], place)
        run.pieces.append((place + length, found))
        survey.faults.append(Fault(place, length, "a title of the station"))
    else:
        survey.faults.append(Fault(run.end, found - run.end, "what is no audio, between frames"))


def _part(source: Source, runs: list[_Run]) -> Part:
    """Return runs of one kind as a part, behind a count of their frames where they need one."""
    first = runs[0]
    counted = first.tag and counted_frames(first.tag)
    frames = sum(run.frames for run in runs) - bool(first.tag)
    name, kind = _NAMES[first.frame.layer], first.frame.samples
    pieces = [Piece(source, start, stop - start) for run in runs for start, stop in run.pieces]
    is_plain = len(pieces) == 1 and (not counted or counted >= frames)
    rates = set().union(*(run.bit_rates for run in runs))
    if first.frame.layer == _COUNTING_LAYER and not (is_plain and (first.tag or len(rates) == 1)):
        if first.tag:
            pieces[0] = _without_first(source, first, pieces[0])
        head = read_at(source, first.start, HEADER_BYTES)
        pieces.insert(0, piece(counting_frame(head, frames)))
    is_whole = len(pieces) == 1 and pieces[0] == Piece(source, 0, size_of(source))
    whole = source if is_whole else splice(pieces)
    return Part(name, whole, first.start, frames * kind, _TOLERANCE * kind)


def _without_first(source: Source, run: _Run, piece: Piece) -> Piece:
    length = run.frame.length
    return Piece(source, piece.start + length, piece.length - length)

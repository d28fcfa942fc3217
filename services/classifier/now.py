"""What sounds now: a fold over the windows of a stream, in order, to a label that changes slowly.

A label changes only when another one has led for a while, and the border lies where its lead began.
A lead is counted as in Page's cumulative sum test (Biometrika 41, 1954): each window speaks for a
label, or for the current one, by the logarithm of how probable it makes them; a lead begins where
the sum rises above zero and ends where it falls back. All numbers are rounded before they are
folded, and are integers from there on, so a replay gives the same to the last digit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas import UNKNOWN
from services.classifier.sums import THOUSAND, WITHOUT_GENRE, NowWindow, Sums, add

#: Probability that counts as nothing: the logarithm of a window does not go below that.
_FLOOR: Final = 0.03
#: Evidence of a lead, in seconds of certainty a second of `Rule.change_seconds`.
_STRONG: Final = 0.6
#: The same, of a lead that has lasted for all of `Rule.now_seconds`.
_STEADY: Final = 0.3
#: Windows that are kept at most, should they be shorter than any extractor's.
_MOST_WINDOWS: Final = 100
#: A stream of the same key that begins so much later goes on with the label of the one before.
CONTINUES_MS: Final = 60_000

_EVIDENCE: Final = tuple(
    round(THOUSAND * math.log1p(p / THOUSAND / _FLOOR) / math.log1p(1 / _FLOOR))
    for p in range(THOUSAND + 1)
)


@dataclass(frozen=True, slots=True)
class Rule:
    """When a label changes.

    Attributes
    ----------
    labels
        The K genres.
    now_seconds
        How much audio `now` is about, and how long a lead can get at most.
    change_seconds
        How much audio another label must have led for.
    unknown_below
        Confidence below which the answer is ``unknown``.
    """

    labels: tuple[str, ...]
    now_seconds: float = 30.0
    change_seconds: float = 12.0
    unknown_below: float = 0.0


class Border(msgspec.Struct, frozen=True, array_like=True):
    """A border between windows: number of the window after it, where it is and when."""

    index: int
    start_ms: int
    at_ms: int | None


class NowState(msgspec.Struct, frozen=True):
    """What is known of the last seconds of a stream; bounded, and kept in a table.

    Attributes
    ----------
    label
        That holds.
    since_ms
        When its first window was heard; it may have been in a stream before this one.
    begun
        Where the segment begins.
    continues
        Whether the label goes on from the stream before.
    sums
        Of the windows of the segment that are no longer in `windows`.
    windows
        The last seconds, of earlier segments and streams too.
    of_segment, of_label
        How many of the last of them are of the segment, and of this label's time.
    """

    label: str
    since_ms: int | None
    begun: Border
    continues: bool
    sums: Sums
    windows: tuple[NowWindow, ...]
    of_segment: int
    of_label: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A segment that is over.

    Attributes
    ----------
    label, begun, continues
        As in the state.
    ended
        Where it ends.
    sums
        Of all its windows.
    """

    label: str
    begun: Border
    ended: Border
    sums: Sums
    continues: bool


def fold(state: NowState | None, window: NowWindow, rule: Rule) -> tuple[NowState, Finished | None]:
    """Take in a window of a stream.

    Parameters
    ----------
    state
        After the window before; ``None`` at the very first, what `carried` gives at the first of a
        later stream.

    Returns
    -------
    The state after it, and the segment that it ends by a change of the label.
    """
    place = Border(window.index, window.start_ms, window.at_ms)
    if state is None:
        label = leader(window, rule)
        return NowState(label, window.at_ms, place, False, Sums(), (window,), 1, 1), None
    if not state.of_segment and not state.sums.windows:
        state = msgspec.structs.replace(state, begun=place)
    state = _append(state, window, round(THOUSAND * rule.now_seconds))
    lead = _lead(state, rule)
    return (state, None) if lead is None else _change(state, *lead)


def carried(state: NowState | None, at_ms: int | None) -> NowState | None:
    """Return what a stream takes over from the one before it, of the same key.

    Parameters
    ----------
    state
        Of the stream before, at its end.
    at_ms
        When the first window of the new one was heard.

    Returns
    -------
    ``None`` when more than a minute lies between them, or their times are not known.
    """
    if state is None or at_ms is None or not state.windows:
        return None
    last = state.windows[-1]
    if last.at_ms is None or abs(at_ms - last.at_ms - last.audio_ms) > CONTINUES_MS:
        return None
    return msgspec.structs.replace(state, continues=True, sums=Sums(), of_segment=0)


def finish(
    state: NowState, ended: Border | None = None, missing_chunks: int = 0
) -> Finished | None:
    """Return the last segment of a stream; ``None`` for one without a window.

    Parameters
    ----------
    ended
        Where the stream ends, if that is not the end of its last window.
    missing_chunks
        How many chunks are missing between its last window and its end.
    """
    sums = _sum(state, state.windows[len(state.windows) - state.of_segment :])
    if not sums.windows:
        return None
    missing_chunks += sums.missing_chunks
    sums = msgspec.structs.replace(sums, missing_chunks=missing_chunks)
    return Finished(state.label, state.begun, ended or _end(state), sums, state.continues)


def last_seconds(state: NowState) -> Sums:
    """Return the sums of all windows of the last seconds."""
    return add(Sums(), state.windows)


def leader(window: NowWindow, rule: Rule) -> str:
    """Return the label of one window."""
    if window.label:
        return window.label
    best = max(window.probabilities)
    if best < THOUSAND * rule.unknown_below:
        return UNKNOWN
    return rule.labels[window.probabilities.index(best)]


def _end(state: NowState) -> Border:
    last = state.windows[-1]
    at_ms = None if last.at_ms is None else last.at_ms + last.audio_ms
    return Border(last.index + 1, last.start_ms + last.audio_ms, at_ms)


def _append(state: NowState, window: NowWindow, now_ms: int) -> NowState:
    """Add a window, and move those that are too old into the sums of their segment."""
    windows = (*state.windows, window)
    of_segment, of_label = state.of_segment + 1, state.of_label + 1
    audio = sum(w.audio_ms for w in windows)
    sums, first = state.sums, 0
    while audio - windows[first].audio_ms >= now_ms or len(windows) - first > _MOST_WINDOWS:
        audio -= windows[first].audio_ms
        first += 1
    kept = len(windows) - first
    if of_segment > kept:
        sums = add(sums, windows[len(windows) - of_segment : first])
    return msgspec.structs.replace(
        state,
        sums=sums,
        windows=windows[first:],
        of_segment=min(of_segment, kept),
        of_label=min(of_label, kept),
    )


def _lead(state: NowState, rule: Rule) -> tuple[str, int] | None:
    """Return the label that has led for long enough, and how many windows ago its lead began."""
    windows = state.windows[len(state.windows) - state.of_label :]
    every = (*rule.labels, *WITHOUT_GENRE)
    supports = [_supports(window, rule) for window in windows]
    current = every.index(state.label) if state.label in every else len(every) - 2
    change_ms = round(THOUSAND * rule.change_seconds)
    found: tuple[int, str, int] | None = None
    for number, label in enumerate(every):
        evidence, audio_ms, count = _count(windows, supports, number, current)
        if audio_ms < change_ms:
            continue
        is_steady = audio_ms >= THOUSAND * rule.now_seconds
        needed = (_STEADY if is_steady else _STRONG) * change_ms * THOUSAND * THOUSAND
        if evidence >= needed and (found is None or evidence > found[0]):
            found = evidence, label, count
    return found and found[1:]


def _supports(window: NowWindow, rule: Rule) -> list[int]:
    """Return how much a window speaks for each label: the genres, then those without one."""
    genres = [_EVIDENCE[p] for p in window.probabilities] or [0] * len(rule.labels)
    label = leader(window, rule)
    return genres + [THOUSAND * (label == other) for other in WITHOUT_GENRE]


def _count(
    windows: Sequence[NowWindow], supports: Sequence[list[int]], label: int, current: int
) -> tuple[int, int, int]:
    """Count the lead of a label over the current one: its evidence, audio and windows."""
    evidence = audio_ms = count = 0
    for window, support in zip(windows, supports, strict=True):
        weight = THOUSAND if window.label else window.weight
        evidence += (support[label] - support[current]) * weight * window.audio_ms
        audio_ms, count = audio_ms + window.audio_ms, count + 1
        if evidence <= 0:
            evidence = audio_ms = count = 0
    return evidence, audio_ms, count


def _change(state: NowState, label: str, led: int) -> tuple[NowState, Finished | None]:
    """Begin a segment where a lead began, or with the stream if that was in the one before."""
    count = min(led, state.of_segment)
    first = state.windows[-count]
    border = Border(first.index, first.start_ms, first.at_ms)
    sums = _sum(state, state.windows[len(state.windows) - state.of_segment : -count])
    finished = (
        Finished(state.label, state.begun, border, sums, state.continues) if sums.windows else None
    )
    fresh = NowState(label, border.at_ms, border, False, Sums(), state.windows, count, count)
    return fresh, finished


def _sum(state: NowState, windows: Sequence[NowWindow]) -> Sums:
    return add(state.sums, windows)

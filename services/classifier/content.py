"""Which label a window gets before any genre, and how much it counts for its stream's genre.

Music comes before genre: a window without music has none. Music under a voice has one, but the
voice hides it: the more it is speech, the less the window counts, and the less sure its genre is.
A vector without content, of an older extractor or where content is not asked for, is taken for
music.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas import SILENCE, SPEECH, UNKNOWN, Content, FeatureVector, Shares, WindowAnswer

#: Probabilities from which a window holds music, speech, other sound.
MUSIC_FROM: Final = 0.5
SPEECH_FROM: Final = 0.5
OTHER_FROM: Final = 0.5
#: Probability of music from which a window has a genre: a faint bed under a voice has none.
GENRE_FROM: Final = 0.85
#: Probability of speech from which it hides the music as far as it can. Singing and rap stay below.
HIDDEN_FROM: Final = 0.9
#: What a window of music counts when speech hides it.
LEAST_WEIGHT: Final = 0.1
#: Share of a stream's windows with sound that must have a genre before the stream has one.
LEAST_MUSIC: Final = 0.25


class Heard(msgspec.Struct, frozen=True):
    """A window's answer, and what of it its stream keeps.

    Attributes
    ----------
    answer
        Label, confidence and, of music alone, probabilities of the genres.
    weight
        How much the window counts for the genre of its stream, from 0 to 1: 1 for music, less the
        more it is speech, 0 for all that has no genre.
    """

    answer: WindowAnswer
    weight: float


class Tally(msgspec.Struct, frozen=True):
    """How many windows of a stream were what.

    Attributes
    ----------
    windows
        That say what they hold; all other numbers are of these.
    music, speech, other, silence
        That hold it; a window may hold several.
    talk
        Labelled ``speech``.
    genre
        Labelled with a genre, or unsure of which.
    """

    windows: int = 0
    music: int = 0
    speech: int = 0
    other: int = 0
    silence: int = 0
    talk: int = 0
    genre: int = 0

    @property
    def shares(self) -> Shares | None:
        """The fractions, or ``None`` where no window said."""
        if not self.windows:
            return None
        counts = (self.music, self.speech, self.other, self.silence)
        return Shares(*(count / self.windows for count in counts))


def without_genre(
    level_dbfs: float, content: Content | None, silence_dbfs: float
) -> WindowAnswer | None:
    """Answer for a window that has no genre; ``None`` for music."""
    if level_dbfs < silence_dbfs:
        return WindowAnswer(SILENCE, 1.0, {})
    if content is None or content.music >= GENRE_FROM:
        return None
    if content.speech >= SPEECH_FROM:
        return WindowAnswer(SPEECH, content.speech, {})
    return WindowAnswer(UNKNOWN, 1.0 - max(content.music, content.speech), {})


def weight(content: Content | None) -> float:
    """Return how much a window of music counts for its stream's genre."""
    if content is None:
        return 1.0
    hidden = (content.speech - SPEECH_FROM) / (HIDDEN_FROM - SPEECH_FROM)
    return LEAST_WEIGHT + (1.0 - LEAST_WEIGHT) * min(1.0, max(0.0, 1.0 - hidden))


def less_sure(probabilities: Sequence[float], certainty: float) -> list[float]:
    """Draw probabilities towards all genres alike, as far as something hides the music.

    Parameters
    ----------
    probabilities
        They sum to 1 [length K].
    certainty
        From 0, where all genres become alike, to 1, where nothing changes.
    """
    if certainty == 1.0:
        return list(probabilities)
    rest = (1.0 - certainty) / len(probabilities)
    return [certainty * p + rest for p in probabilities]


def count(tally: Tally, vector: FeatureVector, answer: WindowAnswer | None) -> Tally:
    """Add a window; one that does not say what it holds, or has no audio, changes nothing."""
    content = vector.content
    if content is None or answer is None:
        return tally
    sounds = answer.label != SILENCE
    return Tally(
        tally.windows + 1,
        tally.music + (sounds and content.music >= MUSIC_FROM),
        tally.speech + (sounds and content.speech >= SPEECH_FROM),
        tally.other + (sounds and content.other >= OTHER_FROM),
        tally.silence + (not sounds),
        tally.talk + (answer.label == SPEECH),
        tally.genre + bool(answer.probabilities),
    )


def stream_without_genre(tally: Tally) -> WindowAnswer | None:
    """Answer for a stream too little of which is music; ``None`` where a genre is due.

    The confidence is the share of the stream's windows with sound that have the label.
    """
    sounding = tally.windows - tally.silence
    if not sounding or tally.genre >= LEAST_MUSIC * sounding:
        return None
    unknown = sounding - tally.genre - tally.talk
    if tally.talk >= unknown:
        return WindowAnswer(SPEECH, tally.talk / sounding, {})
    return WindowAnswer(UNKNOWN, unknown / sounding, {})

"""Tags of windows and of streams, by heads of kind ``multi`` beside the model of the genres.

A head hears what the model hears, the same vectors, and is asked in the same turn: what of a stream
is music, and how much a window counts, is the same for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import msgspec

from schemas import FeatureVector, TagPrediction, prediction_event_id
from services.classifier.content import Heard
from services.classifier.model import Model


class TagSum(msgspec.Struct, frozen=True):
    """What a head said of a stream so far.

    Attributes
    ----------
    total
        Sum of the probabilities of its tags, by the weights of the windows.
    weight
        Sum of the weights.
    windows
        Number of windows in it; those without music are left out.
    """

    total: tuple[float, ...]
    weight: float = 0.0
    windows: int = 0


@dataclass(frozen=True, slots=True)
class Tagging:
    """Heads, and which of their tags are published.

    Attributes
    ----------
    heads
        The models, of the same feature set as that of the genres.
    top
        Number of tags at most.
    least
        Probability below which a tag is left out.
    """

    heads: tuple[Model, ...] = ()
    top: int = 10
    least: float = 0.1

    def add(
        self,
        sums: Mapping[str, TagSum],
        heard: Heard | None,
        found: Sequence[Sequence[float]],
    ) -> dict[str, TagSum]:
        """Add a window to the sums of its stream.

        Parameters
        ----------
        sums
            By the name of the head. One of other tags than the head has begins anew.
        heard
            The window's answer, or ``None`` without audio.
        found
            Probabilities by each head, as they come; empty without audio.
        """
        return {
            head.metadata.name: _add(_of(sums, head), heard, probabilities)
            for head, probabilities in zip(self.heads, found, strict=True)
        }

    def predict(
        self,
        sums: Mapping[str, TagSum],
        vector: FeatureVector,
        heard: Heard | None,
        found: Sequence[Sequence[float]],
    ) -> tuple[TagPrediction, ...]:
        """Make a head's prediction each; the sums include the window."""
        return tuple(
            TagPrediction(
                event_id=prediction_event_id(vector, head.reference),
                stream_id=vector.stream_id,
                origin=vector.origin,
                feature_set=vector.feature_set,
                model=head.reference,
                window_index=vector.window_index,
                start_seconds=vector.start_seconds,
                end_seconds=vector.end_seconds,
                tags=self._best(head, _mean(sums[head.metadata.name])),
                windows=sums[head.metadata.name].windows,
                window=self._of_window(head, heard, probabilities),
                final=vector.final,
                missing_chunks=vector.missing_chunks,
                heard_at=vector.heard_at,
            )
            for head, probabilities in zip(self.heads, found, strict=True)
        )

    def _of_window(
        self, head: Model, heard: Heard | None, probabilities: Sequence[float]
    ) -> dict[str, float] | None:
        if heard is None:
            return None
        return self._best(head, probabilities if _is_music(heard) else ())

    def _best(self, head: Model, probabilities: Sequence[float]) -> dict[str, float]:
        """Name the most probable tags [length K, or 0 without music]."""
        named = zip(head.labels, probabilities, strict=False)
        probable = [(tag, min(1.0, p)) for tag, p in named if p >= self.least]
        return dict(sorted(probable, key=itemgetter(1), reverse=True)[: self.top])


def _of(sums: Mapping[str, TagSum], head: Model) -> TagSum:
    found = sums.get(head.metadata.name)
    fits = found is not None and len(found.total) == len(head.labels)
    return found if found and fits else TagSum((0.0,) * len(head.labels))


def _add(before: TagSum, heard: Heard | None, probabilities: Sequence[float]) -> TagSum:
    if heard is None or not _is_music(heard):
        return before
    total = tuple(t + heard.weight * p for t, p in zip(before.total, probabilities, strict=True))
    return TagSum(total, before.weight + heard.weight, before.windows + 1)


def _mean(found: TagSum) -> list[float]:
    return [t / found.weight for t in found.total] if found.windows else []


def _is_music(heard: Heard) -> bool:
    return bool(heard.answer.probabilities)

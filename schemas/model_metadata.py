"""What an ONNX model says of itself in ``metadata_props``: the contract of training and serving.

The graph takes ``features`` float32 [shape=(n, D)] and gives ``probabilities`` float32
[shape=(n, K)], in the order of ``labels``; scaling is inside the graph.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.errors import ModelError

INPUT_NAME: Final = "features"
OUTPUT_NAME: Final = "probabilities"
#: The genres of GTZAN, in the order of every model's output.
GENRES: Final = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
#: Label of audio below the level at which a genre can be told.
SILENCE: Final = "silence"
#: Label of audio that the model is not sure enough of.
UNKNOWN: Final = "unknown"
#: The label of what is spoken.
SPEECH: Final = "speech"


#: A name is part of a consumer group and of event ids.
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
Name = Annotated[str, msgspec.Meta(pattern=rf"^{_NAME}\Z")]
NameOrNone = Annotated[str, msgspec.Meta(pattern=rf"^({_NAME})?\Z")]
#: A label is printed, and a label of metrics: no control characters, no end without a limit.
Label = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,64}\Z")]


Weight = Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a model.

    Attributes
    ----------
    name, version
        Identity of the model; the version is semantic.
    feature_set, feature_names
        The recipe that it was trained on and the names of its D features.
    labels
        Names of its K classes.
    training_data, split
        What it was fitted on, and how that was divided.
    metrics
        Scores by name, such as ``fault_filtered_accuracy``.
    created
        ISO 8601 date.
    unknown_below
        Confidence below which the answer is ``unknown``; 0 for never.
    kind
        ``single``: one label, the probabilities sum to 1; ``multi``: tags, each by itself.
    vote_sharpness
        How much surer a stream is than the mean of its windows; see `schemas.votes`.
    pooled_with
        Name of the model, in the same folder, that is asked, too, where a window's content was
        heard; it is of ``ced-192`` and has the same labels. Empty for none.
    pool_weights
        Of this model and of that one; see `schemas.votes`.
    """

    name: Name
    version: Annotated[str, msgspec.Meta(max_length=64)]
    feature_set: str
    feature_names: tuple[str, ...]
    labels: Annotated[tuple[Label, ...], msgspec.Meta(max_length=1000)]
    training_data: str
    split: str
    metrics: dict[str, float]
    created: str
    unknown_below: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    kind: Literal["single", "multi"] = "single"
    vote_sharpness: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.0
    pooled_with: NameOrNone = ""
    pool_weights: tuple[Weight, Weight] = (1.0, 0.0)

    def to_props(self) -> dict[str, str]:
        """Return the values for ``metadata_props``: texts as they are, the rest as JSON."""
        fields = msgspec.to_builtins(self)
        return {
            key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for key, value in fields.items()
        }

    @classmethod
    def from_props(cls, props: Mapping[str, str]) -> "ModelMetadata":
        """Read ``metadata_props``.

        Raises
        ------
        ModelError
            A field is missing or does not parse.
        """
        try:
            optional = {f.name for f in msgspec.structs.fields(cls) if not f.required}
            given = [n for n in cls.__struct_fields__ if n in props or n not in optional]
            fields = {name: _parse(name, props[name]) for name in given}
            return msgspec.convert(fields, type=cls)
        except KeyError as error:
            raise ModelError(
                f"the model has no metadata {error}: export it with genrestream train"
            ) from error
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ModelError(f"the model's metadata does not parse: {error}") from error


_JSON_FIELDS: Final = frozenset(
    {"feature_names", "labels", "metrics", "unknown_below", "vote_sharpness", "pool_weights"}
)


def _parse(name: str, text: str) -> Any:
    return msgspec.json.decode(text) if name in _JSON_FIELDS else text

import pytest

from schemas import ModelMetadata
from schemas.errors import ModelError

METADATA = ModelMetadata(
    name="forest",
    version="1.2.3",
    feature_set="seed-25",
    feature_names=("a", "b"),
    labels=("jazz", "[rock]"),
    training_data="GTZAN",
    split="fault-filtered",
    metrics={"accuracy": 0.61, "log_loss": 1.25},
    created="2026-11-02",
    unknown_below=0.25,
)
OPTIONAL = {"unknown_below", "vote_sharpness", "kind", "pooled_with", "pool_weights"}


def test_round_trip() -> None:
    props = METADATA.to_props()
    assert all(isinstance(value, str) for value in props.values())
    assert ModelMetadata.from_props(props | {"producer": "skl2onnx"}) == METADATA


def test_files_of_earlier_releases_never_answer_unknown() -> None:
    props = METADATA.to_props()
    del props["unknown_below"]
    assert ModelMetadata.from_props(props).unknown_below == 0.0


@pytest.mark.parametrize("name", sorted(set(ModelMetadata.__struct_fields__) - OPTIONAL))
def test_a_missing_field_is_named(name: str) -> None:
    props = METADATA.to_props()
    del props[name]
    with pytest.raises(ModelError, match=f"no metadata '{name}': export it with genrestream train"):
        ModelMetadata.from_props(props)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("labels", "jazz", "JSON is malformed"),
        ("labels", '"jazz"', r"Expected `array`, got `str` - at `\$.labels`"),
        ("feature_names", "[1]", r"Expected `str`, got `int` - at `\$.feature_names"),
        ("metrics", '{"accuracy": "high"}', "Expected `float`, got `str`"),
        ("metrics", "[" * 100_000, "recursion depth"),
        ("unknown_below", "2", "Expected `float` <= 1.0"),
    ],
)
def test_a_field_that_does_not_parse(name: str, text: str, reason: str) -> None:
    with pytest.raises(ModelError, match=f"metadata does not parse: .*{reason}"):
        ModelMetadata.from_props(METADATA.to_props() | {name: text})

import numpy as np
import onnx
import onnxruntime
import pytest

from schemas import GENRES, INPUT_NAME, OUTPUT_NAME, ModelMetadata
from training.data.datasets import Dataset
from training.data.splits import random_split
from training.errors import ExportError
from training.evaluation.onnx_evaluation import parse_model
from training.models.estimators import ESTIMATORS
from training.models.export import check_parity, predictor
from training.models.fitting import Fitted, fit, to_file

#: So that the network's test takes seconds; determinism does not depend on how long it learns.
FAST = {"mlp": {"epochs": 5}, "hist-gradient-boosting": {"max_iter": 3}}


def fitted(name: str, data: Dataset, seed: int = 0) -> Fitted:
    return fit(name, data, random_split(data, 0), seed, FAST.get(name))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_exports_alike_and_repeatably(name: str, dataset: Dataset) -> None:
    first, second = fitted(name, dataset), fitted(name, dataset)
    file = to_file(first, "2026-01-01", {"accuracy": 0.5})
    assert first.scores == second.scores
    assert file == to_file(second, "2026-01-01", {"accuracy": 0.5})
    assert check_parity(file, first.estimator, dataset.X) <= 1e-5
    assert predictor(file)(dataset.X).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    if name not in FAST:
        assert first.scores.accuracy > 0.7


def test_only_the_creation_date_differs_between_two_days(dataset: Dataset) -> None:
    model = fitted("logistic", dataset)
    first, second = (to_file(model, day, {}) for day in ("2026-01-01", "2026-01-02"))
    assert first != second
    parsed = onnx.load_from_string(second)
    for prop in parsed.metadata_props:
        if prop.key == "created":
            prop.value = "2026-01-01"
    assert parsed.SerializeToString(deterministic=True) == first


def test_another_seed_gives_another_forest(dataset: Dataset) -> None:
    files = [to_file(fitted("extra-trees", dataset, seed), "", {}) for seed in (0, 1)]
    assert files[0] != files[1]


def test_a_file_keeps_the_contract_of_the_classifier(dataset: Dataset) -> None:
    file = to_file(fitted("svm", dataset), "2026-01-01", {"accuracy": 0.5})
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == (INPUT_NAME, "tensor(float)", ["N", 25])
    assert (answered.name, answered.shape) == (OUTPUT_NAME, ["N", 10])
    props = session.get_modelmeta().custom_metadata_map
    metadata = ModelMetadata.from_props(props)
    assert metadata.labels == GENRES
    assert metadata.feature_names == dataset.feature_names
    assert metadata.created == "2026-01-01"
    domains = [opset.domain for opset in onnx.load_from_string(file).opset_import]
    assert len(domains) == len(set(domains))


def test_a_file_names_the_tracks_it_was_fitted_to(dataset: Dataset) -> None:
    model = fitted("extra-trees", dataset)
    parsed = parse_model(to_file(model, "", {}), "test")
    assert parsed.training_tracks == random_split(dataset, 0).train
    assert parsed.impurity is not None
    assert sum(parsed.impurity) == pytest.approx(1.0, abs=1e-4)


def test_a_file_of_another_model_is_refused(dataset: Dataset) -> None:
    file = to_file(fitted("logistic", dataset), "", {})
    other = fitted("extra-trees", dataset)
    with pytest.raises(ExportError, match=r"differ by .* do not ship"):
        check_parity(file, other.estimator, dataset.X)


def test_a_swapped_label_is_refused_though_probabilities_are_close(dataset: Dataset) -> None:
    class Shifted:
        """Answers so near the file that only a label tells them apart."""

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return np.full((len(X), len(GENRES)), np.nan)

    file = to_file(fitted("logistic", dataset), "", {})
    with pytest.raises(ExportError, match="differ by nan"):
        check_parity(file, Shifted(), dataset.X)  # type: ignore[arg-type]

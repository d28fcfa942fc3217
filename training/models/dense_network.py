"""The study's network as a scikit-learn classifier: standard scaling, dense layers, softmax.

Keras fits it; its graph goes to ONNX by tf2onnx.
"""

import os
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from schemas import INPUT_NAME, OUTPUT_NAME
from training.data.datasets import Classes, Features, Probabilities

if TYPE_CHECKING:
    import onnx

#: Read by TensorFlow when it is imported: its remarks on the machine are not for our users, and
#: oneDNN sums in an order that depends on it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["KERAS_BACKEND"] = "tensorflow"

HIDDEN_UNITS: Final = (256, 128, 64)
#: Share of the training rows that early stopping watches.
WATCHED_SHARE: Final = 0.15


class Network(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Multilayer perceptron of the study: dense 256, 128 and 64, ReLU, softmax.

    Parameters
    ----------
    epochs, batch_size
        The study's 250 and 256.
    dropout
        Share of units dropped after each hidden layer.
    l2
        Weight decay of the hidden layers.
    patience
        Epochs without a better watched loss before fitting stops and the best weights return;
        ``None`` runs all epochs as the study did. Either way `WATCHED_SHARE` of the rows is watched
        only with a patience.
    seed
        Of the weights, the dropout and the order of the batches.

    Attributes
    ----------
    history_
        Loss and accuracy by epoch, under Keras's names.
    """

    def __init__(
        self,
        *,
        epochs: int = 250,
        batch_size: int = 256,
        dropout: float = 0.2,
        l2: float = 0.0,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.dropout = dropout
        self.l2 = l2
        self.patience = patience
        self.seed = seed

    def fit(self, X: Features, y: Classes) -> "Network":
        """Fit to features [shape=(n, D)] and classes 0 to K - 1 [shape=(n,)]."""
        import keras

        keras.utils.clear_session()  # so that names of layers do not depend on earlier fits
        keras.utils.set_random_seed(self.seed)
        self.classes_ = np.unique(y)
        self.scaler_ = StandardScaler().fit(X)
        self.network_ = _dense_network(X.shape[1], len(self.classes_), self.dropout, self.l2)
        self.network_.compile(
            optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        self.history_ = self._run(self._scaled(X), y)
        return self

    def _run(self, scaled: Features, y: Classes) -> dict[str, list[float]]:
        import keras

        options: dict[str, Any] = {}
        if self.patience is not None:
            scaled, watched, y, watched_y = train_test_split(
                scaled, y, test_size=WATCHED_SHARE, stratify=y, random_state=self.seed
            )
            stop = keras.callbacks.EarlyStopping(patience=self.patience, restore_best_weights=True)
            options = {"validation_data": (watched, watched_y), "callbacks": [stop]}
        history = self.network_.fit(
            self._batches(scaled, y),
            epochs=self.epochs,
            steps_per_epoch=ceil(len(y) / self.batch_size),
            shuffle=False,  # done by the batches
            verbose=0,
            **options,
        )
        return {name: [float(v) for v in values] for name, values in history.history.items()}

    def _batches(self, scaled: Features, y: Classes) -> Any:
        """Shuffle and batch without end: a new iterator an epoch would triple the time."""
        import tensorflow as tf

        rows = tf.data.Dataset.from_tensor_slices((scaled, y)).cache()
        return rows.shuffle(len(y), seed=self.seed).batch(self.batch_size).repeat()

    def predict_proba(self, X: Features) -> Probabilities:
        """Return the probability of each class [shape=(n, K)]."""
        probabilities = self.network_(self._scaled(X), training=False)
        return np.asarray(probabilities, np.float64)

    def predict(self, X: Features) -> NDArray[np.int64]:
        """Return the likeliest class [shape=(n,)]."""
        classes: NDArray[np.int64] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def _scaled(self, X: Features) -> Features:
        """Scale in float32, as the exported graph does."""
        return (X - self._offset()) * self._factor()

    def _offset(self) -> Features:
        return np.asarray(self.scaler_.mean_, np.float32)

    def _factor(self) -> Features:
        return np.asarray(1.0 / self.scaler_.scale_, np.float32)

    def to_onnx(self, opset: int) -> "onnx.ModelProto":
        """Convert scaling and network to one ONNX graph."""
        import tensorflow as tf
        import tf2onnx

        signature = [tf.TensorSpec([None, len(self._offset())], tf.float32, name=INPUT_NAME)]

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator] # no stubs
        def graph(X: Any) -> dict[str, Any]:
            scaled = (X - self._offset()) * self._factor()
            return {OUTPUT_NAME: self.network_(scaled, training=False)}

        model: onnx.ModelProto
        model, _ = tf2onnx.convert.from_function(graph, signature, opset=opset)
        return model


def _dense_network(width: int, n_classes: int, dropout: float, l2: float) -> Any:
    """Build the functional model (tf2onnx cannot read a Sequential one, its issue 2448)."""
    import keras

    inputs = keras.Input((width,), name=INPUT_NAME)
    x = inputs
    for units in HIDDEN_UNITS:
        decay = keras.regularizers.L2(l2) if l2 else None
        x = keras.layers.Dense(units, activation="relu", kernel_regularizer=decay)(x)
        x = keras.layers.Dropout(dropout)(x)
    outputs = keras.layers.Dense(n_classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)

"""Errors of the training room; all are `schemas.errors.GenrestreamError`.

::

    GenrestreamError
     └─ TrainingError
         ├─ DataError         a table or folder that cannot be trained on
         ├─ SplitError        a split that names absent tracks, leaks, or has an empty side
         ├─ ExportError       an ONNX file that does not answer as the model that it came from
         └─ MissingExtraError  a library of the training extra is not installed
"""

from schemas.errors import GenrestreamError


class TrainingError(GenrestreamError):
    """Base of the errors of training."""

    code = "training-error"


class DataError(TrainingError):
    """A table or folder is missing, empty, or holds values that cannot be trained on."""

    code = "invalid-data"


class SplitError(TrainingError):
    """A split names absent tracks, has an empty side, or has one recording on two sides."""

    code = "invalid-split"


class ExportError(TrainingError):
    """The ONNX file differs from the model that it was made from by more than rounding."""

    code = "invalid-export"


class MissingExtraError(TrainingError):
    """A library of the ``training`` extra is not installed."""

    code = "missing-extra"

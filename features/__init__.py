"""Signal processing shared by training and serving: decode, cut into windows, extract features.

Pure functions of their arguments: no Kafka, no settings, no clock.
"""

from features.feature_sets import FEATURE_SETS, FeatureSet, feature_set
from features.formats.decode import MAX_SECONDS, Audio, Samples, check_shape, decode, read_file
from features.formats.sound_file import open_sound
from features.windows import (
    FLOOR_DBFS,
    MIN_WINDOW_SECONDS,
    Window,
    cut,
    level_dbfs,
    resample,
    split,
    window_length,
)

__all__ = [
    "FEATURE_SETS",
    "FLOOR_DBFS",
    "MAX_SECONDS",
    "MIN_WINDOW_SECONDS",
    "Audio",
    "FeatureSet",
    "Samples",
    "Window",
    "check_shape",
    "cut",
    "decode",
    "feature_set",
    "level_dbfs",
    "open_sound",
    "read_file",
    "resample",
    "split",
    "window_length",
]

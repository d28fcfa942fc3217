"""Signal processing shared by training and serving: decode, cut into windows, extract features.

Pure functions of their arguments: no Kafka, no settings, no clock. What decodes and resamples is
imported when it is first used (PEP 562): commands that only talk to Kafka start without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from features.feature_sets import FEATURE_SETS, FeatureSet, feature_set

if TYPE_CHECKING:
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

_DECODE: Final = ("MAX_SECONDS", "Audio", "Samples", "check_shape", "decode", "read_file")
_HOMES: Final = {
    **dict.fromkeys(_DECODE, "features.formats.decode"),
    "open_sound": "features.formats.sound_file",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for from where it lives."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "features.windows")), name)
    globals()[name] = value
    return value

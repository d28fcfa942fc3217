"""Signal processing shared by training and serving: decode, cut into windows, extract features.

Pure functions of their arguments: no Kafka, no settings, no clock. What decodes and resamples is
imported when it is first used (PEP 562): commands that only talk to Kafka start without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from features.feature_sets import (
    CONTENT_SET,
    FEATURE_SETS,
    NETWORK_SETS,
    FeatureSet,
    feature_set,
)

if TYPE_CHECKING:
    from features.formats.audio import MAX_SECONDS, Audio, Samples, check_shape, downmix
    from features.formats.decode import decode, mono_blocks, open_file, read_file
    from features.formats.pcm import decode_pcm, pcm_shape
    from features.formats.recording import Recording, open_recording
    from features.windows import (
        FLOOR_DBFS,
        MIN_WINDOW_SECONDS,
        Window,
        cut,
        level_dbfs,
        resample,
        split,
        split_blocks,
        window_length,
    )

__all__ = [
    "CONTENT_SET",
    "FEATURE_SETS",
    "FLOOR_DBFS",
    "MAX_SECONDS",
    "MIN_WINDOW_SECONDS",
    "NETWORK_SETS",
    "Audio",
    "FeatureSet",
    "Recording",
    "Samples",
    "Window",
    "check_shape",
    "cut",
    "decode",
    "decode_pcm",
    "downmix",
    "feature_set",
    "level_dbfs",
    "mono_blocks",
    "open_file",
    "open_recording",
    "pcm_shape",
    "read_file",
    "resample",
    "split",
    "split_blocks",
    "window_length",
]

_AUDIO: Final = ("MAX_SECONDS", "Audio", "Samples", "check_shape", "downmix")
_DECODE: Final = ("decode", "mono_blocks", "open_file", "read_file")
_HOMES: Final = {
    **dict.fromkeys(_AUDIO, "features.formats.audio"),
    **dict.fromkeys(_DECODE, "features.formats.decode"),
    **dict.fromkeys(("decode_pcm", "pcm_shape"), "features.formats.pcm"),
    **dict.fromkeys(("Recording", "open_recording"), "features.formats.recording"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for from where it lives."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "features.windows")), name)
    globals()[name] = value
    return value

"""Names of the descriptors, apart from the compiled code that computes them."""

from typing import Final

N_MFCC: Final = 20
_MFCCS: Final = tuple(f"mfcc{i}" for i in range(1, N_MFCC + 1))
#: Descriptors that are one number a frame or pitch class.
SCALARS: Final = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
)
#: The descriptors of the public 30 s table, in its column order.
TABLE_DESCRIPTORS: Final = (*SCALARS, *_MFCCS)
#: The 25 descriptors of the study.
SEED_DESCRIPTORS: Final = tuple(name for name in TABLE_DESCRIPTORS if name != "rms")

"""The librosa feature sets, by compiled kernels."""

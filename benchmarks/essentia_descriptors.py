"""The descriptors of `librosa-52` by Essentia's algorithms (PyPI package ``essentia``)."""

from collections.abc import Callable

import numpy as np

from features import Samples


def essentia_descriptors(
    y: Samples, sample_rate: int, n_fft: int, hop_length: int
) -> Callable[[], None]:
    """Return a function that computes mean and variance of the same descriptors.

    Pitch classes are Essentia's HPCP of spectral peaks, the bandwidth is the root of its second
    central moment.
    """
    import essentia
    import essentia.standard as es

    essentia.log.infoActive = False
    bins, nyquist = n_fft // 2 + 1, sample_rate / 2
    window = es.Windowing(type="hann", size=n_fft, zeroPhase=False, normalized=False)
    spectrum = es.Spectrum(size=n_fft)
    mfcc = es.MFCC(
        inputSize=bins,
        sampleRate=sample_rate,
        numberBands=128,
        numberCoefficients=20,
        highFrequencyBound=nyquist,
    )
    peaks = es.SpectralPeaks(sampleRate=sample_rate, maxFrequency=5000)
    hpcp = es.HPCP(size=12, sampleRate=sample_rate)
    centroid = es.Centroid(range=nyquist)
    moments = es.CentralMoments(range=nyquist)
    rolloff = es.RollOff(cutoff=0.85, sampleRate=sample_rate)
    rms, zero_crossing_rate = es.RMS(), es.ZeroCrossingRate()

    def describe(frame: Samples) -> list[float]:
        S = spectrum(window(frame))
        return [
            *hpcp(*peaks(S)),
            rms(frame),
            centroid(S),
            moments(S)[2] ** 0.5,
            rolloff(S),
            zero_crossing_rate(frame),
            *mfcc(S)[1],
        ]

    def run() -> None:
        frames = es.FrameGenerator(
            y, frameSize=n_fft, hopSize=hop_length, startFromZero=True, validFrameThresholdRatio=1
        )
        rows = np.array([describe(frame) for frame in frames])
        rows.mean(axis=0), rows.var(axis=0)

    return run

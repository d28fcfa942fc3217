"""I1 and I2 for sets of networks, with chunks of 44.1 kHz stereo MP3, and beside another set."""

import numpy as np
import pytest

from features import FEATURE_SETS, NETWORK_SETS, Audio, decode, feature_set, split
from schemas import AudioChunk, Place
from services.extractor.state import Recipe
from services.extractor.vectors import feature_vectors
from tests.audio import encode, music
from tests.extractor.streams import END, run, vectors

RATE = 44_100
by_network = pytest.mark.parametrize("name", NETWORK_SETS)


def mp3_chunks() -> list[AudioChunk]:
    """Cut 7.5 s of stereo into uneven MP3 files, each decodable alone."""
    y = music(7.5, RATE)
    stereo = np.stack([y, 0.5 * np.roll(y, 40)], axis=1)
    pieces = np.split(stereo, [RATE // 2, 2 * RATE, 5 * RATE + 17])
    return [
        AudioChunk(encode(piece, RATE, "MP3", "MPEG_LAYER_III"), content_type="audio/mpeg")
        for piece in pieces
    ]


@by_network
def test_mp3_chunks_give_the_vectors_of_what_they_decode_to(name: str) -> None:
    chunks = mp3_chunks()
    recipe = feature_set(name)
    found = vectors(run([*chunks, END], Recipe((recipe,))))
    decoded = [decode(chunk.data, chunk.content_type).samples for chunk in chunks]
    audio = Audio(np.concatenate(decoded), RATE)
    origin = Place("audio.chunks", 0, 0)
    expected = [
        vector
        for window in split(audio, 3.0)
        for vector in feature_vectors("radio-1", origin, window, [recipe], with_content=False)
    ]
    assert len(expected) == 3
    assert [v.values for v in found if v.values] == [v.values for v in expected]


@by_network
def test_a_replay_gives_the_same_vectors(name: str) -> None:
    recipe = Recipe((feature_set(name),))
    assert vectors(run([*mp3_chunks(), END], recipe)) == vectors(run([*mp3_chunks(), END], recipe))


def test_sets_of_several_sample_rates_hear_one_stream() -> None:
    together = vectors(run([*mp3_chunks(), END], Recipe(tuple(map(feature_set, FEATURE_SETS)))))
    assert len(together) >= 9
    for name in FEATURE_SETS:
        alone = vectors(run([*mp3_chunks(), END], Recipe((feature_set(name),))))
        assert [v for v in together if v.feature_set == name] == alone

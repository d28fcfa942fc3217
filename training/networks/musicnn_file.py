"""Make the ONNX files of `musicnn-200`, and of the same in 8 bits, from the authors' checkpoint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from features.embeddings.log_mel import N_FRAMES, N_MELS
from features.embeddings.musicnn import (
    INPUT_NAME,
    INT8_FILE,
    N_VALUES,
    OUTPUT_NAME,
    TRIAL_KEY,
    trial_patch,
)
from features.onnx_session import open_session
from training.errors import ExportError
from training.models.export import IR_VERSION, OPSETS
from training.networks import musicnn_graph, musicnn_int8
from training.networks import musicnn_layers as musicnn
from training.networks.musicnn_checkpoint import NETWORK, PACKAGE
from training.networks.musicnn_layers import MusiCNN, Weights

if TYPE_CHECKING:
    import onnx

NAME: Final = "musicnn-200"
#: Largest difference of a value between the ONNX file and the whole network in Keras.
TOLERANCE: Final = 1e-4
INT8_NAME: Final = INT8_FILE.stem
#: Largest difference that 8 bits may make, root mean square over the values' standard deviation.
INT8_TOLERANCE: Final = 0.03
_INT8_CARD: Final = Path(__file__).with_name("musicnn_int8_card.md")
_N_PATCHES: Final = 8

#: Of the weights; it goes with every copy.
LICENCE: Final = """\
Copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019. Code developed by Jordi Pons \
(www.jordipons.me).

Permission to use, copy, modify, and/or distribute this software for any purpose with or without \
fee is hereby granted, provided that the above copyright notice and this permission notice appear \
in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS \
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE \
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES \
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, \
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE \
OF THIS SOFTWARE.
"""

_CARD: Final = """\
# {name}

sha256: {sha256}

What a network trained on 3 s excerpts of the Million Song Dataset hears in a window: the
penultimate layer, before its ReLU, of MusiCNN (Pons and Serra 2019, arXiv:1909.06654), in ONNX.

| | |
|---|---|
| input | `{input}` float32 (1, {frames}, {mels}): log10(1 + 10000 · power) of {mels} mel bands, \
16 kHz, n_fft 512, hop 256 (`features/embeddings/log_mel.py`) |
| output | `{output}` float32 (1, {width}) |
| weights | `{network}` of the PyPI package `{package}` |
| size | {size} kB |
| created | {created} |

`genrestream build-musicnn` makes this file again. The weights are the authors'; the architecture
is written anew as an ONNX graph of matrix products (`training/networks/musicnn_graph.py`) and
compared with the same in Keras (`training/networks/musicnn_layers.py`). {dead} of the {filters}
filters of the front end have no weights left (the training's weight decay took them), nor have
{dead_behind} of the {filters_behind} in the block behind it: they answer the same to every sound,
and are folded into one. The answers stay those of the whole network, within 2e-5 where values reach
15, at a tenth of the cost.

## Limits

- It hears 3 s at a time, mono, up to 8 kHz.
- It was trained to tag popular western music (rock, pop, female vocalists, …); what it says of
  speech, noise or other music means little by itself.

## Licence of the weights

{licence}"""


def make(variables: Mapping[str, Weights], output: Path, created: str) -> Path:
    """Convert, check and write ``musicnn-200.onnx`` and its card.

    Parameters
    ----------
    variables
        Of the checkpoint.
    output
        Folder to write to.
    created
        ISO 8601 date.

    Raises
    ------
    ExportError
        ONNX Runtime does not answer as the whole network does.
    """
    whole = musicnn.from_checkpoint(variables)
    small = musicnn.prune(whole)
    file = _to_file(musicnn_graph.to_onnx(small, OPSETS[""]), NAME, {"created": created})
    _check(file, whole)
    return _write(output, NAME, file, _card(file, whole, created))


def make_int8(variables: Mapping[str, Weights], loudest: Sequence[Weights], output: Path) -> Path:
    """Convert, check and write ``musicnn-200-int8.onnx`` and its card.

    The same checkpoint and figures give the same file.

    Parameters
    ----------
    variables
        Of the checkpoint.
    loudest
        As `training.networks.musicnn_loudness` measures it.
    output
        Folder to write to.

    Raises
    ------
    ExportError
        8 bits change too much.
    """
    small = musicnn.prune(musicnn.from_checkpoint(variables))
    model = musicnn_int8.to_onnx(small, loudest, OPSETS[""])
    trial = _run(model.SerializeToString(), trial_patch()[np.newaxis])[0]
    props = {TRIAL_KEY: json.dumps([round(float(value), 4) for value in trial])}
    file = _to_file(model, INT8_NAME, props)
    difference = _check_int8(file, small)
    card = _INT8_CARD.read_text(encoding="utf-8").format(
        name=INT8_NAME,
        sha256=hashlib.sha256(file).hexdigest(),
        network=NETWORK,
        package=PACKAGE,
        size=round(len(file) / 1000),
        difference=difference,
        licence=LICENCE,
    )
    return _write(output, INT8_NAME, file, card)


def _write(output: Path, name: str, file: bytes, card: str) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}.onnx"
    path.write_bytes(file)
    path.with_suffix(".md").write_text(card, encoding="utf-8")
    return path


def _to_file(model: "onnx.ModelProto", name: str, more: Mapping[str, str]) -> bytes:
    model.graph.name = name
    model.ir_version = IR_VERSION
    props = {
        "name": name,
        "source": f"{NETWORK} of {PACKAGE}",
        "licence": LICENCE,
        **more,
    }
    del model.metadata_props[:]
    for key in sorted(props):
        model.metadata_props.add(key=key, value=props[key])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _patches() -> Weights:
    """Return patches of all loudness [shape=(8, 187, 96)]."""
    random = np.random.default_rng(0)
    scale = np.linspace(0.0, 4.0, _N_PATCHES, dtype=np.float32)[:, np.newaxis, np.newaxis]
    return np.asarray(scale * random.random((_N_PATCHES, N_FRAMES, N_MELS), np.float32))


def _run(file: bytes, patches: Weights) -> Weights:
    """Embed patches one by one [shape=(n, 200)]."""
    session = open_session(file)
    answers = [session.run([OUTPUT_NAME], {INPUT_NAME: patch[np.newaxis]})[0] for patch in patches]
    return np.concatenate(answers)


def _check_int8(file: bytes, network: MusiCNN) -> float:
    """Compare with the same network in float32; return the relative difference."""
    patches = _patches()
    expected = _run(musicnn_graph.to_onnx(network, OPSETS[""]).SerializeToString(), patches)
    difference = float(np.sqrt(np.mean((_run(file, patches) - expected) ** 2)) / expected.std())
    if not difference <= INT8_TOLERANCE:
        raise ExportError(
            f"8 bits change the embedding by {difference:.3f} of its scatter, at most "
            f"{INT8_TOLERANCE} is allowed: do not ship this file"
        )
    return difference


def _check(file: bytes, whole: MusiCNN) -> None:
    """Compare with the whole network on patches of all loudness."""
    patches = _patches()
    found = _run(file, patches)
    expected = np.asarray(musicnn.build(whole)(patches, training=False))
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the embedding differs by {difference:.1e} from the whole network's, at most "
            f"{TOLERANCE:.0e} is allowed: do not ship this file"
        )


def _card(file: bytes, whole: MusiCNN, created: str) -> str:
    dead = np.concatenate([~block.alive for block in whole.front_end])
    dead_behind = ~whole.mid_end[0].alive
    return _CARD.format(
        name=NAME,
        sha256=hashlib.sha256(file).hexdigest(),
        input=INPUT_NAME,
        output=OUTPUT_NAME,
        frames=N_FRAMES,
        mels=N_MELS,
        width=N_VALUES,
        network=NETWORK,
        package=PACKAGE,
        size=round(len(file) / 1000),
        created=created,
        dead=int(dead.sum()),
        filters=len(dead),
        dead_behind=int(dead_behind.sum()),
        filters_behind=len(dead_behind),
        licence=LICENCE,
    )

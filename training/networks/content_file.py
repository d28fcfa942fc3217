"""Make the ONNX file that tells music, speech and other sound apart, and its card."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.embeddings.content import (
    COLUMNS,
    EMBEDDING_NAME,
    INPUT_NAME,
    KINDS,
    N_FFT,
    N_FRAMES,
    OUTPUT_NAME,
    PATCH,
)
from features.onnx_session import import_onnxruntime, open_session
from training.data.content_clips import Source, read_sources
from training.errors import ExportError
from training.networks.ced_crate import PACKAGE, VERSION, Crate
from training.networks.ced_graph import GraphBuilder, encode, finish, mean, tag
from training.networks.ced_weights import DEPTH, WIDTH, Ced, read_weights

if TYPE_CHECKING:
    import onnx

NAME: Final = "content"
#: Blocks of the network that are kept, of 12.
KEPT: Final = 10
#: Our layer on top, fitted by ``genrestream train-content``.
HEAD: Final = Path(__file__).with_name("content_head.npz")
#: What it was fitted to.
SOURCES: Final = Path(__file__).with_name("content_sources.csv")
#: Probability of music from which a window has a genre, as `services/classifier` has it.
GENRE_FROM: Final = 0.85
#: Largest difference of a probability between our graph of the whole network and the crate's.
TOLERANCE: Final = 1e-5
#: Largest difference of a probability that computing in 8 bits may make.
EIGHT_BIT_TOLERANCE: Final = 0.05
_CARD: Final = Path(__file__).with_name("content_card.md")
_SECONDS: Final = 3
_RATE: Final = 16_000
_BINS: Final = N_FFT // 2 + 1

Head = tuple[NDArray[np.float32], NDArray[np.float32]]


def read_head(path: Path = HEAD) -> Head:
    """Return weights [shape=(192, 3)] and bias [shape=(3,)] of our own layer."""
    with np.load(path, allow_pickle=False) as file:
        return file["weights"], file["bias"]


def make(crate: Crate, output: Path, created: str) -> Path:
    """Cut the network down, add our layer, check and write ``content.onnx`` and its card.

    The same crate gives the same file.

    Parameters
    ----------
    crate
        Of the network.
    output
        Folder to write to.
    created
        ISO 8601 date, for the card.

    Raises
    ------
    ExportError
        Our graph of the whole network does not answer as the crate's does, or 8 bits change
        too much.
    """
    network = read_weights(crate.network)
    check_whole(network, crate.network)
    model = cut(network, read_head(), eight_bits=True)
    _describe(model, crate)
    file: bytes = model.SerializeToString(deterministic=True)
    check_eight_bits(network, file)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{NAME}.onnx"
    path.write_bytes(file)
    path.with_suffix(".md").write_text(_card(file, crate, created), encoding="utf-8")
    return path


def cut(network: Ced, head: Head, *, eight_bits: bool) -> "onnx.ModelProto":
    """Build the graph that is shipped: the columns that are heard, the blocks kept, our layer."""
    graph = GraphBuilder(eight_bits)
    pooled = mean(graph, encode(graph, network, INPUT_NAME, COLUMNS, KEPT))
    weights, bias = head
    product = graph.node("MatMul", pooled, graph.constant(weights))
    kinds = graph.node("Sigmoid", graph.node("Add", product, graph.constant(bias)))
    return finish(
        graph,
        (INPUT_NAME, ["n", N_FRAMES, _BINS]),
        (kinds, OUTPUT_NAME, ["n", len(KINDS)]),
        (pooled, EMBEDDING_NAME, ["n", WIDTH]),
    )


def check_whole(network: Ced, file: bytes) -> None:
    """Compare our graph of all columns and blocks with the crate's own, on noise.

    Raises
    ------
    ExportError
        They differ by more than rounding.
    """
    y = _noise()
    columns = range(_SECONDS * 6)
    graph = GraphBuilder(eight_bits=False)
    tags = tag(graph, network, encode(graph, network, INPUT_NAME, columns, DEPTH))
    inputs = (INPUT_NAME, ["n", len(columns) * PATCH, _BINS])
    model = finish(graph, inputs, (tags, "tags", ["n", 527]))
    (found,) = open_session(model.SerializeToString()).run(
        None, {INPUT_NAME: _crates_spectra(y, file)[np.newaxis, : len(columns) * PATCH]}
    )
    (expected,) = _plain_session(file).run(None, {"waveform": y[np.newaxis]})
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the tags differ by {difference:.1e} from the crate's, at most {TOLERANCE:.0e} is "
            "allowed: do not ship this file"
        )


def check_eight_bits(network: Ced, file: bytes) -> None:
    """Compare the file with the same graph in float32, on noise of many colours.

    Raises
    ------
    ExportError
        A probability differs by too much.
    """
    wide = open_session(cut(network, read_head(), eight_bits=False).SerializeToString())
    small = open_session(file)
    shape = (8, N_FRAMES, _BINS)
    slopes = np.linspace(0.0, -6.0, 8)[:, np.newaxis, np.newaxis]
    colours = np.arange(1, _BINS + 1) ** (slopes / 2)
    spectra = (np.random.default_rng(0).chisquare(2, shape) * colours).astype(np.float32)
    worst = 0.0
    for power in spectra:
        feed = {INPUT_NAME: power[np.newaxis]}
        pair = [session.run([OUTPUT_NAME], feed)[0] for session in (wide, small)]
        worst = max(worst, float(np.abs(pair[0] - pair[1]).max()))
    if not worst <= EIGHT_BIT_TOLERANCE:
        raise ExportError(
            f"8 bits change a probability by {worst:.2f}, at most {EIGHT_BIT_TOLERANCE} is "
            "allowed: do not ship this file"
        )


def _noise() -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    loudness = np.sin(np.linspace(0.0, 20.0, _SECONDS * _RATE))
    return (0.1 * loudness * random.standard_normal(_SECONDS * _RATE)).astype(np.float32)


def _plain_session(file: bytes) -> Any:
    """Load the crate's graph without optimisations: they compute some of it in 8 bits."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _crates_spectra(y: NDArray[np.float32], file: bytes) -> NDArray[np.float32]:
    """Return the power spectra that the crate's graph computes; its window is in 8 bits, too."""
    import onnx

    model = onnx.load_from_string(file)
    (node,) = [node for node in model.graph.node if node.op_type == "Pow"]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    (power,) = _plain_session(model.SerializeToString()).run(
        [node.output[0]], {"waveform": y[np.newaxis]}
    )
    return np.asarray(power[0].T if power.shape[1] == _BINS else power[0], np.float32)


def _describe(model: "onnx.ModelProto", crate: Crate) -> None:
    model.graph.name = NAME
    props = {
        "name": NAME,
        "source": f"models/tiny.onnx of the crate {PACKAGE} {VERSION}",
        "notices": crate.notices,
        "licence": "Apache-2.0",
    }
    for key in sorted(props):
        model.metadata_props.add(key=key, value=props[key])


def _card(file: bytes, crate: Crate, created: str) -> str:
    report = msgspec.json.decode(HEAD.with_suffix(".json").read_bytes())
    sources = read_sources(SOURCES)
    return _CARD.read_text(encoding="utf-8").format(
        sha256=hashlib.sha256(file).hexdigest(),
        input=INPUT_NAME,
        output=OUTPUT_NAME,
        embedding=EMBEDDING_NAME,
        width=WIDTH,
        frames=N_FRAMES,
        bins=_BINS,
        package=PACKAGE,
        version=VERSION,
        size=f"{len(file) / 1e6:.1f}",
        kept=KEPT,
        depth=DEPTH,
        columns=len(COLUMNS),
        created=created,
        genre_from=GENRE_FROM,
        auc=report["auc"],
        scores="\n".join(map(_score_row, report["kinds"])),
        held_back=sum(source.held_back for source in sources),
        n_sources=len(sources),
        sources="\n".join(_source_rows(sources)),
        notices=crate.notices.split("\n\n", 1)[1].strip(),
        licence=crate.licence.strip(),
    )


def _score_row(kind: dict[str, Any]) -> str:
    shares = " | ".join(f"{kind[part]:.1%}" for part in ("genre", "music", "speech", "both"))
    clips = f"{kind['clips']} | {kind['clips_genre']:.1%}"
    return f"| {kind['kind']} | {kind['windows']} | {shares} | {clips} |"


def _source_rows(sources: list[Source]) -> Iterator[str]:
    """Yield a line a kind: where its recordings come from, those held back marked."""
    for kind in dict.fromkeys(source.kind for source in sources):
        here = [source for source in sources if source.kind == kind]
        origins = sorted({f"{s.origin}{' (held back)' if s.held_back else ''}" for s in here})
        yield f"- {kind}: {', '.join(origins)}."

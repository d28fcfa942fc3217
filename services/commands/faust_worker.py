"""Run one worker process: check what it needs, then hand over to faust."""

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import faust
import numpy as np
import uvloop

from features import Audio, FeatureSet, resample
from services.classifier.agent import create_classifier
from services.classifier.model import load_heads, load_model, require_feature_set
from services.commands.ending import FAILED, Ending, leave
from services.extractor.agent import create_extractor, create_recipe
from services.extractor.state import Recipe
from services.kafka.group_lag import LagReader
from services.kafka.groups import changelog, classifier_group, extractor_group
from services.kafka.rights import require_rights
from services.kafka.stream_worker import StreamWorker
from services.kafka.topics import (
    Topics,
    check_equal_partitions,
    create_changelog,
)
from services.kafka.watch import SILENCE_SECONDS, Watch
from services.observing.liveness import Health
from services.observing.logs import log_configuration
from services.settings import Settings

#: Python's 5 ms are longer than most of what a thread does here before others may go on.
_SWITCH_SECONDS: Final = 0.0005
#: Of what receivers send, in Hz.
SENT_RATE: Final = 22_050


def run_extractor(settings: Settings, ending: Ending) -> None:
    """Run an extractor until a signal.

    Raises
    ------
    GenrestreamError
        Something that it needs is missing: a broker, the topics, a right, the model that names its
        set, the network of a feature set.
    SystemExit
        At the end; 0 after SIGTERM or Ctrl-C.
    """
    names = settings.feature_sets or (load_model(settings.model_path).metadata.feature_set,)
    recipe = create_recipe(settings, names)
    for feature_set in recipe.feature_sets:
        feature_set.check()
    if recipe.content:
        check_content()
    partitions = _prepare(settings, "extractor", changelog(extractor_group(settings), "extractor"))
    warm = threading.Event()
    threading.Thread(target=_warm_up, args=(recipe, warm), daemon=True).start()
    _run(settings, create_extractor(settings, recipe, partitions), partitions, warm.is_set, ending)


def run_classifier(settings: Settings, ending: Ending) -> None:
    """Run a classifier until a signal; raises as `run_extractor` does."""
    model = load_model(settings.model_path)  # which runs it: it is warm
    require_feature_set(model, settings.feature_sets)
    heads = load_heads(settings.head_paths, model)
    name = model.metadata.name
    states = changelog(classifier_group(settings, name), "classifier")
    partitions = _prepare(settings, "classifier", states, name)
    worker = create_classifier(settings, model, partitions, heads)
    _run(settings, worker, partitions, lambda: True, ending)


def _prepare(settings: Settings, service: str, states: str, model: str = "") -> int:
    """Check topics and rights, and create the changelog; return the number of partitions."""
    topics = Topics(settings.topic_prefix)
    partitions = asyncio.run(require_rights(settings, service, model))
    check_equal_partitions(topics, partitions)
    count = partitions[topics.chunks]
    asyncio.run(create_changelog(settings, states, count))
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # faust makes its loops by it
    return count


def _warm_up(recipe: Recipe, done: threading.Event) -> None:
    warm_up(recipe.feature_sets)
    if recipe.content:
        warm_up_content()
    done.set()


def check_content() -> None:
    """Raise `schemas.errors.ModelError` where the network of content is missing or damaged."""
    from features.embeddings import content

    content.NETWORK.read()


def warm_up_content() -> None:
    """Load the network of content and run it once."""
    from features.embeddings import content

    content.content(np.zeros(content.N_SAMPLES, np.float32))


def warm_up(feature_sets: Iterable[FeatureSet]) -> None:
    """Extract features once, so that all is compiled and imported before the first audio comes.

    Half of it is noise and half a tone, some of whose frames are transformed in float64. What
    resamples what a receiver sends is compiled, too.
    """
    noise = np.random.default_rng(0)
    for feature_set in feature_sets:
        half = round(feature_set.window_seconds * feature_set.sample_rate) // 2
        tone = np.sin(0.1 * np.arange(half)).astype(np.float32)
        feature_set.extract(np.concatenate((0.1 * noise.standard_normal(half, np.float32), tone)))
        resample(Audio(np.zeros(SENT_RATE, np.float32), SENT_RATE), feature_set.sample_rate)


def _run(
    settings: Settings,
    stream_worker: StreamWorker,
    partitions: int,
    is_warm: Callable[[], bool],
    ending: Ending,
) -> None:
    sys.setswitchinterval(_SWITCH_SECONDS)
    stream_worker.app.when_failed(ending.fail)
    if settings.http_port:
        _watch(stream_worker, settings, partitions, is_warm).start(settings)
    worker = PunctualWorker(
        stream_worker.app,
        loglevel=settings.log_level,
        logging_config=log_configuration(settings.log_level, settings.log_format),
        redirect_stdouts=False,
        quiet=True,
    )
    worker.spinner = None
    ending.when_told(worker.stop_by)
    gc.freeze()  # else every full collection goes through all that is imported, for 0.1 s
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else FAILED
        leave(code or (FAILED if stream_worker.failure else 0))


def _watch(
    worker: StreamWorker, settings: Settings, partitions: int, is_warm: Callable[[], bool]
) -> Watch:
    metrics = worker.metrics
    reader = LagReader(settings, metrics.group, metrics.source, partitions)
    health = Health(settings.stall_seconds, SILENCE_SECONDS, time.monotonic())
    return Watch(worker, metrics, reader, is_warm, health)


class PunctualWorker(faust.Worker):
    """A faust worker that ends in time after a signal, even one that comes while it starts.

    faust can wait for ever for a consumer that is not there yet. What is not acknowledged by then
    stays in the log.
    """

    def stop_by(self, number: signal.Signals) -> None:
        """Stop, told by another thread."""
        stop = self._on_sigint if number == signal.SIGINT else self._on_sigterm
        self.loop.call_soon_threadsafe(stop)

    def install_signal_handlers(self) -> None:
        """Leave signals to `Ending`, which does not depend on the loop."""

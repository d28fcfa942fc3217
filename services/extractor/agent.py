"""The extractor as a faust app: ``audio.chunks`` to ``audio.features``."""

from features import feature_set
from schemas import FeatureVector
from services.extractor.extractor import Extractor
from services.extractor.state import Recipe
from services.kafka.faust_app import create_app
from services.kafka.groups import extractor_group
from services.kafka.stream_worker import StreamWorker
from services.kafka.topics import Topics
from services.observing.worker_metrics import Metrics
from services.processing.core import Outputs
from services.settings import Settings


def create_recipe(settings: Settings, feature_sets: tuple[str, ...]) -> Recipe:
    """Return the recipe that the settings ask for, for these feature sets."""
    return Recipe(
        feature_sets=tuple(feature_set(name) for name in feature_sets),
        idle_timeout_seconds=settings.idle_timeout_seconds,
        max_chunk_seconds=settings.max_chunk_seconds,
        allow_ffmpeg=settings.ffmpeg_in_workers,
        content=settings.wants_content(feature_sets),
        content_every=settings.content_every,
        hop_seconds=settings.hop_seconds,
    )


def create_extractor(settings: Settings, recipe: Recipe, partitions: int) -> StreamWorker:
    """Create the worker; the topics exist, with so many partitions."""
    topics = Topics(settings.topic_prefix)
    group = extractor_group(settings)
    return create_app(
        settings,
        Extractor(recipe),
        app_id=group,
        source=topics.chunks,
        outputs=Outputs({FeatureVector: topics.features}, topics.dead_letters, same_partition=True),
        partitions=partitions,
        metrics=Metrics("extractor", group, topics.chunks),
    )

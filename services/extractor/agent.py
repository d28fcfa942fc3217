"""The extractor as a faust app: ``audio.chunks`` to ``audio.features``."""

import faust

from features import feature_set
from services.extractor.core import Extractor
from services.extractor.state import Recipe
from services.runtime.app import create_app
from services.runtime.core import Outputs
from services.runtime.settings import Settings
from services.runtime.topics import Topics


def create_recipe(settings: Settings, feature_sets: tuple[str, ...]) -> Recipe:
    """Return the recipe that the settings ask for, for these feature sets."""
    return Recipe(
        feature_sets=tuple(feature_set(name) for name in feature_sets),
        idle_timeout_seconds=settings.idle_timeout_seconds,
        max_chunk_seconds=settings.max_chunk_seconds,
    )


def create_extractor(settings: Settings, recipe: Recipe, partitions: int) -> faust.App:
    """Create the app; the topics exist, with so many partitions."""
    topics = Topics(settings.topic_prefix)
    return create_app(
        settings,
        Extractor(recipe),
        app_id=f"{settings.topic_prefix}genrestream-extractor",
        source=topics.chunks,
        outputs=Outputs(topics.features, topics.dead_letters, same_partition=True),
        partitions=partitions,
    )

"""The classifier as a faust app: ``audio.features`` to ``genre.predictions``."""

import faust

from services.classifier.batching import rows_are_independent
from services.classifier.core import Classifier
from services.classifier.model import Model
from services.runtime.app import create_app
from services.runtime.core import Outputs
from services.runtime.settings import Settings
from services.runtime.topics import Topics


def create_classifier(settings: Settings, model: Model, partitions: int) -> faust.App:
    """Create the app; the topics exist, with so many partitions.

    Each model has a consumer group of its own, so that several can read one topic.
    """
    topics = Topics(settings.topic_prefix)
    return create_app(
        settings,
        Classifier(
            model,
            settings.silence_dbfs,
            settings.unknown_below,
            one_run=rows_are_independent(model),
        ),
        app_id=f"{settings.topic_prefix}genrestream-classifier-{model.metadata.name}",
        source=topics.features,
        outputs=Outputs(topics.predictions, topics.dead_letters),
        partitions=partitions,
    )

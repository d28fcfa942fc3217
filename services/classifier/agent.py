"""The classifier as a faust app: ``audio.features`` to ``genre.predictions``."""

from schemas import SILENCE
from services.classifier.batching import rows_are_independent
from services.classifier.core import Classifier
from services.classifier.model import Model
from services.runtime.app import create_app
from services.runtime.consumer import App
from services.runtime.core import Outputs
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.topics import Topics


def classifier_group(settings: Settings, model: Model) -> str:
    """Return the name of the consumer group of a model's classifiers.

    Each model has one of its own, so that several can read one topic.
    """
    return f"{settings.topic_prefix}genrestream-classifier-{model.metadata.name}"


def create_classifier(settings: Settings, model: Model, partitions: int) -> App:
    """Create the app; the topics exist, with so many partitions."""
    topics = Topics(settings.topic_prefix)
    group = classifier_group(settings, model)
    return create_app(
        settings,
        Classifier(
            model,
            settings.silence_dbfs,
            settings.unknown_below,
            one_run=rows_are_independent(model),
        ),
        app_id=group,
        source=topics.features,
        outputs=Outputs(topics.predictions, topics.dead_letters),
        partitions=partitions,
        metrics=Metrics("classifier", group, topics.features, (*model.labels, SILENCE)),
    )

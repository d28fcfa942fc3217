"""The classifier as a faust app: ``audio.features`` to predictions, segments and tags."""

from schemas import SILENCE, SPEECH, GenrePrediction, GenreSegment, TagPrediction
from services.classifier.classifier import Classifier
from services.classifier.model import Model
from services.classifier.row_independence import rows_are_independent
from services.classifier.tags import Tagging
from services.kafka.chunk_ends import ChunkEnds
from services.kafka.faust_app import create_app
from services.kafka.groups import classifier_group
from services.kafka.stream_worker import StreamWorker
from services.kafka.topics import Topics
from services.observing.worker_metrics import Metrics
from services.processing.core import Outputs
from services.settings import Settings


def create_classifier(
    settings: Settings, model: Model, partitions: int, heads: tuple[Model, ...] = ()
) -> StreamWorker:
    """Create the worker; the topics exist, with so many partitions."""
    topics = Topics(settings.topic_prefix)
    group = classifier_group(settings, model.metadata.name)
    return create_app(
        settings,
        Classifier(
            model,
            settings.silence_dbfs,
            settings.unknown_below,
            one_run=all(map(rows_are_independent, (model, *heads))),
            now_seconds=settings.now_seconds,
            change_seconds=settings.change_seconds,
            music_only=settings.content if settings.content is not None else model.is_of_music,
            tagging=Tagging(heads, settings.tags_top, settings.tags_from),
            unsent=ChunkEnds(settings, topics.chunks, partitions).unsent,
        ),
        app_id=group,
        source=topics.features,
        outputs=Outputs(
            {
                GenrePrediction: topics.predictions,
                GenreSegment: topics.segments,
                TagPrediction: topics.tags,
            },
            topics.dead_letters,
        ),
        partitions=partitions,
        metrics=Metrics("classifier", group, topics.features, (*model.labels, SPEECH, SILENCE)),
    )

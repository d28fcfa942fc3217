"""Names of the consumer groups, which are the prefixes of their changelogs, too."""

from pathlib import Path

from services.settings import Settings


def extractor_group(settings: Settings) -> str:
    """Return the name of the extractors' group."""
    return f"{settings.topic_prefix}genrestream-extractor"


def classifier_group(settings: Settings, model: str) -> str:
    """Return the name of the group of a model's classifiers.

    Each model has one of its own, so that several can read one topic.
    """
    return f"{settings.topic_prefix}genrestream-classifier-{model}"


def state_table(service: str) -> str:
    """Name the table of a service's states."""
    return f"{service}-state"


def changelog(group: str, service: str) -> str:
    """Name the changelog topic of a group's states, as faust does."""
    return f"{group}-{state_table(service)}-changelog"


def receiver_group(settings: Settings) -> str:
    """Return the name of the receivers' group."""
    return f"{settings.topic_prefix}genrestream-receiver"


def recorder_group(settings: Settings) -> str:
    """Return the name of the recorders' group."""
    return f"{settings.topic_prefix}genrestream-recorder"


def notifier_group(settings: Settings) -> str:
    """Return the name of the notifiers' group."""
    return f"{settings.topic_prefix}genrestream-notifier"


def changelogs(settings: Settings) -> tuple[str, str]:
    """Name the changelogs of the extractors, and of the classifiers of the model of the settings.

    A model from a file is taken to have its file's name; its worker creates what is missing.
    """
    model = Path(settings.model).stem if settings.model.endswith(".onnx") else settings.model
    return (
        changelog(extractor_group(settings), "extractor"),
        changelog(classifier_group(settings, model), "classifier"),
    )

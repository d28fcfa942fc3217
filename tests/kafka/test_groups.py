"""Changelogs have the names that faust gives them, so that they can be created before it runs."""

import pytest

from services.classifier.agent import create_classifier
from services.classifier.model import load_model
from services.extractor.agent import create_extractor, create_recipe
from services.kafka.groups import changelogs
from services.settings import load_settings, model_path

MODEL = "extra-trees-seed-25"


@pytest.mark.parametrize("model", [MODEL, str(model_path(MODEL))])
def test_changelogs_are_named_as_faust_names_them(model: str) -> None:
    settings = load_settings(topic_prefix="test.", model=model)
    extractor = create_extractor(settings, create_recipe(settings, ("seed-25",)), 3).app
    classifier = create_classifier(settings, load_model(settings.model_path), 3).app
    assert changelogs(settings) == (extractor.changelog, classifier.changelog)
    for app in (extractor, classifier):
        (table,) = app.tables.values()
        assert app.tables.changelog_topics == {app.changelog}
        assert table.changelog_topic.partitions == 3

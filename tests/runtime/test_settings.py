import pytest

from schemas.errors import SettingsError
from services.commands.stack import worker_environment
from services.runtime.settings import load_settings, variable_names


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variable_names().values():
        monkeypatch.delenv(name, raising=False)


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRESTREAM_PARTITIONS", "7")
    assert load_settings().partitions == 7
    assert load_settings(partitions=9).partitions == 9
    assert load_settings(partitions=None).partitions == 7


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = load_settings(
        bootstrap_servers="a:1,b:2", feature_sets="seed-25,librosa-52", silence_dbfs=-50.5
    )
    for name, value in worker_environment(ours).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == ours


def test_every_setting_is_explained() -> None:
    from services.runtime.settings import Settings

    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"


@pytest.mark.parametrize("servers", ["", "kafka", "kafka:0", "kafka:99999", "a:1,,b:2"])
def test_bad_broker_addresses(monkeypatch: pytest.MonkeyPatch, servers: str) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    with pytest.raises(SettingsError, match=r"KAFKA_BOOTSTRAP_SERVERS=.*host:port"):
        load_settings()

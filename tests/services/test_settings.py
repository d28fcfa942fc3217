import pytest

from schemas.errors import SettingsError
from services.console.stack import worker_environment
from services.kafka.security import client_options
from services.settings import load_settings, variable_names


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
    from services.settings import Settings

    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"


@pytest.mark.parametrize("servers", ["", "kafka", "kafka:0", "kafka:99999", "a:1,,b:2"])
def test_bad_broker_addresses(monkeypatch: pytest.MonkeyPatch, servers: str) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    with pytest.raises(SettingsError, match=r"KAFKA_BOOTSTRAP_SERVERS=.*host:port"):
        load_settings()


SECRET = "correct-horse"  # noqa: S105 - made for this test
SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "me",
    "KAFKA_SASL_PASSWORD": SECRET,
}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({**SASL, "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SASL_USERNAME is set, but"),
        ({**SASL, "KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SASL_USERNAME is set, but"),
        ({"KAFKA_SSL_CAFILE": __file__}, "KAFKA_SSL_CAFILE is set, but"),
        ({**SASL, "KAFKA_SASL_PASSWORD": ""}, "KAFKA_SASL_PASSWORD"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL='TLS'"),
        ({**SASL, "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM='GSSAPI'"),
        ({**SASL, "KAFKA_SSL_CAFILE": "/nowhere"}, "KAFKA_SSL_CAFILE='/nowhere'"),
        ({**SASL, "KAFKA_SSL_KEYFILE": __file__}, "KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE"),
        ({**SASL, "GENRESTREAM_SASL_PASSWORD": SECRET}, "GENRESTREAM_SASL_PASSWORD"),
        ({**SASL, "GENRESTREAM_SASL_PASWORT": SECRET}, "GENRESTREAM_SASL_PASWORT"),
        ({"KAFKA_BOOTSTRAP_SERVERS": f"u:{SECRET}@host"}, r"\*@host"),
        ({"KAFKA_SASL_MECHANISM": f"u:{SECRET}@host"}, "KAFKA_SASL_MECHANISM"),
    ],
)
def test_security_that_does_not_fit_together(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_secrets_reach_child_processes_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SASL.items():
        monkeypatch.setenv(name, value)
    ours = load_settings()
    assert SECRET not in f"{ours!r} {ours}"
    assert worker_environment(ours)["KAFKA_SASL_PASSWORD"] == SECRET


def test_a_file_that_holds_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SSL_CAFILE", __file__)
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    with pytest.raises(SettingsError, match=r"KAFKA_SSL_CAFILE=.* holds no certificate"):
        client_options(load_settings())

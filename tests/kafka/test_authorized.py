"""What a broker says that we may do, and how a missing right is put into words."""

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)

from services.kafka.authorized import Allowed, _MetadataRequest, _topic
from services.kafka.errors import BrokerError, RightsError
from services.kafka.security import lost_right, naming_lost_rights
from services.kafka.topics import check_exist, lacking, refusal
from services.settings import load_settings

READ_AND_DESCRIBE = 1 << 3 | 1 << 8


def test_each_right_has_its_bit() -> None:
    allowed = Allowed(READ_AND_DESCRIBE, 4)
    assert allowed.lacks(["read", "describe"]) == []
    assert allowed.lacks(["write", "read", "create"]) == ["write", "create"]
    assert Allowed(None).lacks(["write"]) == []
    assert Allowed(0).lacks(["read"]) == ["read"]


@pytest.mark.parametrize(("newest", "asked"), [(13, 8), (8, 8), (7, 5), (5, 5)])
def test_a_broker_that_tells_no_rights_is_asked_for_topics_alone(newest: int, asked: int) -> None:
    request = _MetadataRequest(["audio.chunks"]).prepare({3: (0, newest)})
    assert asked == request.API_VERSION
    assert request.encode()


def test_an_answer_without_rights_hides_nothing() -> None:
    topic = {"error_code": 0, "topic": "audio.chunks", "partitions": [{}, {}]}
    assert _topic(topic) == Allowed(None, 2)
    assert _topic(topic | {"authorized_operations": -(2**31)}) == Allowed(None, 2)
    assert _topic(topic | {"authorized_operations": 8}) == Allowed(8, 2)
    assert _topic(topic | {"error_code": 29, "partitions": []}) == Allowed(0)
    assert _topic(topic | {"error_code": 3, "partitions": []}) == Allowed(None)


def test_all_that_is_missing_is_said_at_once() -> None:
    needed = {"a": ["read", "write"], "b": ["create", "describe"]}
    lacks = lacking("topic", needed, {"a": Allowed(READ_AND_DESCRIBE, 1), "b": Allowed(0)})  # type: ignore[arg-type]
    assert lacks == ["write topic a", "describe topic b"]
    settings = load_settings(
        security_protocol="SASL_SSL",
        sasl_username="lag",
        sasl_password="a-password",  # noqa: S106 - of nobody
    )
    text = str(refusal(settings, lacks))
    assert text.startswith("the user lag may not write topic a, nor describe topic b at ")
    assert "a-password" not in text
    with pytest.raises(BrokerError, match="topic c does not exist"):
        check_exist(settings, {"c": Allowed(None)})


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (TopicAuthorizationFailedError("audio.chunks"), "the topic audio.chunks"),
        (TopicAuthorizationFailedError({"b", "a"}), "the topic a, b"),
        (GroupAuthorizationFailedError("genrestream-recorder"), "the group genrestream-recorder"),
    ],
)
def test_a_right_that_is_taken_away_is_named(error: Exception, named: str) -> None:
    with pytest.raises(RightsError, match=named), naming_lost_rights():
        raise error


def test_another_fault_stays_what_it_is() -> None:
    assert lost_right(OSError("no route")) is None
    with pytest.raises(KafkaConnectionError), naming_lost_rights():
        raise KafkaConnectionError("away")

"""What a broker with an authorizer lets us do with topics and groups (KIP-430).

aiokafka 0.14 does not ask for it: its requests for metadata end at version 5, and what it makes of
an answer on groups leaves it out.
"""

import asyncio
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

Right = Literal["read", "write", "create", "describe"]

#: Kafka's numbers of operations; an answer has the bit of each that is allowed.
_OPERATIONS: Final[dict[Right, int]] = {"read": 3, "write": 4, "create": 5, "describe": 8}
#: Of a broker that does not tell.
_UNKNOWN: Final = -(2**31)
_COORDINATOR_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_TEXT: Final = String("utf-8")


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


_MetadataRequests = MetadataRequest_v5 | _MetadataStruct


class _MetadataRequest(Request[_MetadataRequests]):  # type: ignore[misc]  # aiokafka has no types
    """Of version 8, or of 5 where a broker knows no later one, and tells no rights."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class is MetadataRequest_v5:
            return request_struct_class(self._topics, False)
        return request_struct_class(self._topics, False, False, True)


class _GroupsStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(_TEXT)), ("include_authorized_operations", Boolean))


class _GroupsRequest(Request[_GroupsStruct]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_GroupsStruct]) -> _GroupsStruct:
        return request_struct_class(self._groups, True)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What we may do with a topic or group.

    Attributes
    ----------
    operations
        A bit an operation; ``None`` where the broker does not tell, and hides nothing.
    partitions
        Of a topic; 0 for one that does not exist, or is hidden from us.
    """

    operations: int | None
    partitions: int = 0

    def lacks(self, wanted: Iterable[Right]) -> list[Right]:
        """Return which of these rights are missing."""
        known = self.operations
        if known is None:
            return []
        return [right for right in wanted if not known >> _OPERATIONS[right] & 1]


async def topics_allowed(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, Allowed]:
    """Return what we may do with each topic; nothing is known of one that does not exist."""
    if not names:
        return {}
    answer = await admin._send_request(_MetadataRequest(list(names)))
    found = {topic["topic"]: _topic(topic) for topic in answer.to_object()["topics"]}
    return {name: found.get(name, Allowed(None)) for name in names}


def _topic(topic: dict[str, Any]) -> Allowed:
    error = for_code(topic["error_code"])
    if error is TopicAuthorizationFailedError:
        return Allowed(0)
    if not topic["partitions"]:
        return Allowed(None)
    operations = topic.get("authorized_operations", _UNKNOWN)
    return Allowed(_known(operations), len(topic["partitions"]))


def _known(operations: int) -> int | None:
    return None if operations == _UNKNOWN else operations


async def group_allowed(admin: AIOKafkaAdminClient, name: str) -> Allowed:
    """Return what we may do with a group, as far as its coordinator says so."""
    try:
        node = await _coordinator(admin, name)
        answer = await admin._send_request_to_node(node, _GroupsRequest([name]))
    except GroupAuthorizationFailedError:
        return Allowed(0)
    except (KafkaError, TimeoutError, NotImplementedError):  # the last of brokers without KIP-430
        return Allowed(None)
    (group,) = answer.to_object()["groups"]
    if for_code(group["error_code"]) is GroupAuthorizationFailedError:
        return Allowed(0)
    return Allowed(_known(group["authorized_operations"]))


async def _coordinator(admin: AIOKafkaAdminClient, group: str) -> int:
    """Find the coordinator of a group; a cluster's first one takes a moment to be chosen."""
    deadline = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            node: int = await admin.find_coordinator(group)
        except GroupCoordinatorNotAvailableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return node

"""One notification to one channel: webhook, MQTT or what apprise reaches."""

import asyncio
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiohttp

from schemas import to_time
from schemas.errors import GenrestreamError
from services.notifier.deciding import Notification
from services.notifier.rules import Channel

SIGNATURE: Final = "X-Genrestream-Signature-256"
_FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
_MQTT_PORT: Final = {"mqtt": 1883, "mqtts": 8883}


class Refused(GenrestreamError):
    """A channel will never take it: trying again makes no sense."""

    code = "notification-refused"


class Unreachable(GenrestreamError):
    """A channel does not take it now."""

    code = "notification-undelivered"


def body(notification: Notification) -> bytes:
    """Return the JSON that webhooks and MQTT get."""
    return json.dumps(
        {
            "id": notification.id,
            "alarm_id": notification.alarm_id,
            "kind": notification.kind,
            "rule": notification.rule,
            "station": notification.station,
            "what": notification.what,
            "at": to_time(notification.at_ms),
            "since": to_time(notification.since_ms),
        },
        ensure_ascii=False,
    ).encode()


def sign(secret: str, content: bytes) -> str:
    """Return the value of the signature's header: HMAC-SHA256 of the body, as GitHub writes it."""
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def text(notification: Notification) -> str:
    """Say it to people."""
    state = "is over" if notification.kind == "recovery" else "alarm"
    since = to_time(notification.since_ms)
    return f"{notification.station}: {notification.what}, {state}, since {since}"


def backoff(attempt: int, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Return the seconds to wait after some failures: full jitter up to a minute."""
    return jitter(0.1, min(LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempt, 10)))


async def deliver(channel: Channel, notification: Notification) -> None:
    """Deliver once.

    Raises
    ------
    Refused
        It makes no sense to try again.
    Unreachable
        It does.
    """
    if channel.kind == "webhook":
        await _post(channel, notification)
        return
    work = _publish if channel.kind == "mqtt" else _by_apprise
    try:
        async with asyncio.timeout(2 * channel.timeout):
            await asyncio.to_thread(work, channel, notification)
    except (OSError, ValueError, RuntimeError, TimeoutError) as error:
        raise Unreachable(f"{channel.name} fails: {type(error).__name__}") from error


async def _post(channel: Channel, notification: Notification) -> None:
    content = body(notification)
    headers = {"Content-Type": "application/json", "Idempotency-Key": _ascii(notification.id)}
    if channel.secret:
        headers[SIGNATURE] = sign(channel.secret, content)
    timeout = aiohttp.ClientTimeout(total=channel.timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                channel.url, data=content, headers=headers, allow_redirects=False
            ) as answer,
        ):
            status = answer.status
    except (aiohttp.InvalidURL, ValueError) as error:
        raise Refused(f"the address of {channel.name} is none") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unreachable(f"{channel.name} does not answer: {type(error).__name__}") from error
    _judge(channel, status)


def _judge(channel: Channel, status: int) -> None:
    """Tell by the status whether it arrived; 408, 425 and 429 ask for another try."""
    if 200 <= status < 300:
        return
    if 400 <= status < 500 and status not in (401, 403, 404, 408, 425, 429):
        raise Refused(f"{channel.name} answers {status}")
    raise Unreachable(f"{channel.name} answers {status}")


def _ascii(name: str) -> str:
    return (
        name if name.isascii() and name.isprintable() else hashlib.sha256(name.encode()).hexdigest()
    )


def _publish(channel: Channel, notification: Notification) -> None:
    """Publish the state of a rule at a station, retained, and how Home Assistant finds it."""
    from paho.mqtt import publish

    address = urlsplit(channel.url)
    auth: Any = None
    if address.username:
        password = unquote(address.password) if address.password else None
        auth = {"username": unquote(address.username), "password": password}
    publish.multiple(
        [
            {"topic": topic, "payload": payload, "qos": 1, "retain": True}
            for topic, payload in mqtt_messages(channel, notification)
        ],
        hostname=address.hostname or "127.0.0.1",
        port=address.port or _MQTT_PORT.get(address.scheme, 1883),
        auth=auth,
        tls={} if address.scheme == "mqtts" else None,  # type: ignore[arg-type]
    )


def mqtt_messages(channel: Channel, notification: Notification) -> list[tuple[str, bytes]]:
    """Return topics and payloads: a topic a station and rule, so that none resets another."""
    station, rule = _level(notification.station), _level(notification.rule)
    topic = f"{channel.topic}/{station}/{rule}"
    state = b"OFF" if notification.kind == "recovery" else b"ON"
    found = [(f"{topic}/state", state), (f"{topic}/attributes", body(notification))]
    if channel.discovery:
        name = f"genrestream_{station}_{rule}"
        config = {
            "name": notification.rule,
            "unique_id": name,
            "state_topic": f"{topic}/state",
            "json_attributes_topic": f"{topic}/attributes",
            "device_class": "problem",
            "device": {
                "identifiers": [f"genrestream_{station}"],
                "name": notification.station,
                "manufacturer": "genrestream",
            },
        }
        place = f"{channel.discovery}/binary_sensor/{name}/config"
        found.insert(0, (place, json.dumps(config).encode()))
    return found


def _level(name: str) -> str:
    """Make one level of a topic: letters, digits, dot and dash; else underscores."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:100]


def _by_apprise(channel: Channel, notification: Notification) -> None:
    try:
        import apprise
    except ImportError as error:
        raise RuntimeError("apprise is not installed") from error
    messenger = apprise.Apprise()
    kind = "success" if notification.kind == "recovery" else "failure"
    added = messenger.add(channel.url)
    if not added or not messenger.notify(
        title=f"{notification.station}: {notification.rule}",
        body=text(notification),
        notify_type=kind,
    ):
        raise RuntimeError("apprise did not deliver")

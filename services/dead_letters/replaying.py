"""Send dead letters back to where they came from, and note which were.

The notes are a topic of their own, so that every operator sees them: a letter that was sent back
is left out the next time, and one that failed again is known as the same message.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError

from schemas import Place, decode_dead_letter, original_headers
from services.dead_letters.letters import Filter, Letter, LetterPlace, read_letter
from services.kafka.clients import chunk_producer, reading
from services.kafka.errors import DeliveryError
from services.kafka.topics import (
    Topics,
    admin_client,
    count_partitions,
    create_notes,
)
from services.settings import Settings

logger = logging.getLogger(__name__)

_BATCH_LETTERS: Final = 64
_BATCH_BYTES: Final = 16 * 1024 * 1024


class Replay(msgspec.Struct, frozen=True):
    """A note that a dead letter was sent back.

    Attributes
    ----------
    letter
        Place of the dead letter.
    cause
        Of its message: a topic that was deleted and made again has other letters at that place.
    sent_to
        Place of the message that was sent.
    timestamp_ms
        When.
    """

    letter: LetterPlace
    cause: Place
    sent_to: Place
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Replays:
    """All notes, by the letter that was sent back and by the place that it was sent to."""

    by_letter: dict[tuple[LetterPlace, Place], list[Replay]]
    by_sent: dict[Place, LetterPlace]

    def of(self, letter: Letter) -> list[Replay]:
        """List when a letter was sent back."""
        reason = letter.reason
        return self.by_letter.get((letter.place, reason.place), []) if reason else []

    def earlier(self, letter: Letter) -> LetterPlace | None:
        """Tell of which letter this one is a repetition: it was sent back, and failed again."""
        return self.by_sent.get(letter.reason.place) if letter.reason else None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a replay would send, and what it leaves out.

    Attributes
    ----------
    letters
        To be sent, by partition in the order of the log.
    replayed
        Left out, as they were sent back before.
    stranded
        Left out, as they name no partition that messages can be sent back to.
    cut
        Left out, as they do not hold their whole message.
    """

    letters: tuple[Letter, ...]
    replayed: tuple[Letter, ...]
    stranded: tuple[Letter, ...]
    cut: tuple[Letter, ...]


async def read_replays(settings: Settings) -> Replays:
    """Read the notes; none were made when their topic does not exist."""
    replays, unread = Replays({}, {}), 0
    name = Topics(settings.topic_prefix).replays
    async with admin_client(settings) as admin:
        if name not in await admin.list_topics():
            return replays
    async with reading(settings, [name], from_beginning=True) as reader:
        async for record in reader.messages_so_far():
            if (note := _read_note(record.value)) is None:
                unread += 1
                continue
            replays.by_letter.setdefault((note.letter, note.cause), []).append(note)
            replays.by_sent[note.sent_to] = note.letter
    if unread:
        logger.warning("%s: %d messages are no notes of replays: left out", name, unread)
    return replays


def _read_note(value: bytes | None) -> Replay | None:
    """Read a note; ``None`` for what something else wrote to the topic."""
    try:
        return msgspec.json.decode(value or b"", type=Replay)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


async def read_letters(settings: Settings, wanted: Filter) -> AsyncIterator[Letter]:
    """Yield the dead letters that are there, without their values."""
    topic = Topics(settings.topic_prefix).dead_letters
    async with reading(settings, [topic], from_beginning=True) as reader:
        async for record in reader.messages_so_far():
            letter = read_letter(record)
            if wanted.accepts(letter):
                yield letter


async def select(settings: Settings, wanted: Filter, *, again: bool) -> Selection:
    """Find the letters to send back.

    Parameters
    ----------
    settings
        Where the broker is.
    wanted
        Which letters.
    again
        Whether those that were sent back before are meant, too.

    Raises
    ------
    BrokerError
        No broker answers.
    """
    topics = Topics(settings.topic_prefix)
    sources = (topics.chunks, topics.features)
    async with admin_client(settings) as admin:
        partitions = await count_partitions(admin, sources)
    replays = await read_replays(settings)
    letters: list[Letter] = []
    replayed: list[Letter] = []
    stranded: list[Letter] = []
    cut: list[Letter] = []
    async for letter in read_letters(settings, wanted):
        cause = letter.reason.place if letter.reason else None
        if cause is None or not 0 <= cause.partition < partitions.get(cause.topic, 0):
            stranded.append(letter)
        elif letter.is_cut:
            cut.append(letter)
        elif replays.of(letter) and not again:
            replayed.append(letter)
        else:
            letters.append(letter)
    return Selection(tuple(letters), tuple(replayed), tuple(stranded), tuple(cut))


async def replay(
    settings: Settings, letters: Sequence[Letter], on_sent: Callable[[Replay], None]
) -> None:
    """Send letters back: to the original topic and partition, with the original key and headers.

    Time is that of now, so that the retention of the topic does not take them at once. Delivery is
    at least once.

    Raises
    ------
    DeliveryError
        The broker does not take one. Those before it are sent and noted.
    """
    await create_notes(settings, Topics(settings.topic_prefix).replays)
    wanted = {letter.place for letter in letters}
    topic = Topics(settings.topic_prefix).dead_letters
    async with (
        chunk_producer(settings) as producer,
        reading(settings, [topic], from_beginning=True) as reader,
    ):
        sender = _Sender(producer, settings, on_sent)
        async for record in reader.messages_so_far():
            if LetterPlace(record.partition, record.offset) in wanted:
                await sender.add(record)
        await sender.flush()


class _Sender:
    """Sends records in batches; notes those of a batch once they are delivered."""

    def __init__(
        self, producer: Any, settings: Settings, on_sent: Callable[[Replay], None]
    ) -> None:
        self._producer = producer
        self._notes = Topics(settings.topic_prefix).replays
        self._on_sent = on_sent
        self._batch: list[Any] = []
        self._bytes = 0

    async def add(self, record: Any) -> None:
        self._batch.append(record)
        self._bytes += len(record.value or b"")
        if len(self._batch) >= _BATCH_LETTERS or self._bytes >= _BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        batch, self._batch, self._bytes = self._batch, [], 0
        task = asyncio.ensure_future(self._send_and_note(batch))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await task  # what was sent is noted, even after Ctrl-C
            raise

    async def _send_and_note(self, batch: Sequence[Any]) -> None:
        handed_over = [await self._send(record) for record in batch]  # in the order of the log
        results = await asyncio.gather(*handed_over, return_exceptions=True)
        failures = []
        notes = []
        for record, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                failures.append(f"{LetterPlace(record.partition, record.offset)}: {result!r}")
            else:
                replay = _replay(record, result)
                notes.append(await self._note(replay))
                self._on_sent(replay)
        await asyncio.gather(*notes)
        if failures:
            raise DeliveryError(f"the broker did not take dead letter {failures[0]}")

    async def _send(self, record: Any) -> Awaitable[Any]:
        cause = decode_dead_letter(record.headers).place
        try:
            return await self._hand_over(
                cause.topic,
                value=record.value,
                key=record.key,
                partition=cause.partition,
                headers=original_headers(record.headers),
            )
        except KafkaError as error:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def _note(self, replay: Replay) -> Awaitable[Any]:
        key, value = str(replay.letter).encode(), msgspec.json.encode(replay)
        return await self._hand_over(self._notes, key=key, value=value)

    async def _hand_over(self, topic: str, **message: Any) -> Awaitable[Any]:
        delivery: Awaitable[Any] = await self._producer.send(topic, **message)
        return delivery


def _replay(record: Any, sent: Any) -> Replay:
    return Replay(
        LetterPlace(record.partition, record.offset),
        decode_dead_letter(record.headers).place,
        Place(sent.topic, sent.partition, sent.offset),
        round(1000 * time.time()),
    )

"""Reading and writing the topic ``stations``."""

from collections.abc import Iterable, Sequence

import msgspec
import typer
from aiokafka import AIOKafkaProducer

from schemas import Station, decode_event, encode_event
from schemas.errors import MessageError, SettingsError
from services.kafka.clients import chunk_producer, reading
from services.kafka.topics import Topics, require_topics
from services.receiver.addresses import without_secrets
from services.settings import Settings


async def read_stations(settings: Settings) -> dict[str, Station]:
    """Return the stations by their ids."""
    topic = Topics(settings.topic_prefix).stations
    stations = dict[str, Station]()
    async with reading(settings, [topic], from_beginning=True) as reader:
        async for record in reader.messages_so_far():
            key = (record.key or b"").decode(errors="replace")
            stations.pop(key, None)
            if record.value:
                try:
                    stations[key] = decode_event(record.value, Station)
                except MessageError as error:
                    typer.echo(f"warning: {key[:100]}: {error}", err=True)
    return stations


async def apply(settings: Settings, stations: Sequence[Station], *, prune: bool) -> int:
    """Write the stations that are new or changed; tell how many others were removed."""
    current = await read_stations(settings)
    wanted = {station.id: station for station in stations}
    changed = [station for station in stations if current.get(station.id) != station]
    gone = [key for key in current if key not in wanted] if prune else []
    await _write(settings, changed, gone)
    return len(gone)


async def remove(settings: Settings, station_ids: Sequence[str]) -> None:
    """Remove stations.

    Raises
    ------
    SettingsError
        There is none of that id.
    """
    current = await read_stations(settings)
    for station_id in station_ids:
        if station_id not in current:
            known = ", ".join(sorted(current)[:20]) or "none"
            raise SettingsError(f"there is no station {station_id[:100]!r}: there are {known}")
    await _write(settings, [], station_ids)


async def _write(settings: Settings, stations: Iterable[Station], gone: Iterable[str]) -> None:
    topic = Topics(settings.topic_prefix).stations
    await require_topics(settings, [topic], "write")
    async with chunk_producer(settings) as producer:
        for station in stations:
            await _send(producer, topic, station.id, encode_event(station))
        for station_id in gone:
            await _send(producer, topic, station_id, None)


async def _send(producer: AIOKafkaProducer, topic: str, key: str, value: bytes | None) -> None:
    await producer.send_and_wait(topic, value=value, key=key.encode())


async def print_stations(settings: Settings, json_lines: bool) -> None:
    """Print the stations; of addresses and headers no secret."""
    stations = await read_stations(settings)
    for _, station in sorted(stations.items()):
        address = without_secrets(station.url)
        if json_lines:
            shown = msgspec.to_builtins(station) | {
                "url": address,
                "headers": sorted(station.headers),
            }
            typer.echo(msgspec.json.encode(shown).decode())
        else:
            typer.echo(f"{station.id}  {station.name}  {address}")
    if not stations and not json_lines:
        typer.echo("no stations: genrestream stations apply stations.yaml", err=True)

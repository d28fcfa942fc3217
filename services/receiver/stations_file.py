"""``stations.yaml``: what to listen to, checked with line numbers; and lists of others."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from schemas import Station
from schemas.errors import SettingsError
from services.receiver.addresses import check_address
from services.receiver.playlists import (
    Entry,
    decode_playlist,
    parse_opml,
    parse_playlist,
    playlist_kind,
)

_FIELDS: Final = tuple(field for field in Station.__struct_fields__ if field != "schema_version")
_REQUIRED: Final = ("id", "url")
_HEADER: Final = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
_MAX_BYTES: Final = 16 * 1024 * 1024


def read_stations(path: Path) -> list[Station]:
    """Read a file of stations.

    Raises
    ------
    SettingsError
        It cannot be read, or an entry is wrong: named with its line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    if len(text) > _MAX_BYTES:
        raise SettingsError(f"{path} has more than {_MAX_BYTES} bytes: split it")
    return parse_stations(text, str(path))


def parse_stations(text: str, name: str = "stations.yaml") -> list[Station]:
    """Read the text of a file of stations; raises as `read_stations` does."""
    yaml = _yaml()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise SettingsError(f"{name}:{line}: {getattr(error, 'problem', error)}") from error
    nodes = _entries(yaml, root, name)
    stations, lines = list[Station](), dict[str, int]()
    for node in nodes:
        line = node.start_mark.line + 1
        station = _station(yaml, node, name)
        if station.id in lines:
            raise SettingsError(
                f"{name}:{line}: the id {station.id!r} is that of line {lines[station.id]}, too: "
                "give each station its own"
            )
        lines[station.id] = line
        stations.append(station)
    return stations


def _yaml() -> Any:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise SettingsError(
            "files of stations need PyYAML: pip install 'genrestream[radio]'"
        ) from error
    return yaml


def _entries(yaml: Any, root: Any, name: str) -> list[Any]:
    """Return the nodes of the entries: a list, or one under ``stations``."""
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value != "stations":
                raise SettingsError(
                    f"{name}:{key.start_mark.line + 1}: unknown key {str(key.value)[:40]!r}: "
                    "begin with stations:"
                )
            root = value
    if not isinstance(root, yaml.SequenceNode):
        raise SettingsError(f"{name}:1: no list of stations: write - id: … and url: … for each")
    return list(root.value)


def _station(yaml: Any, node: Any, name: str) -> Station:
    place = f"{name}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        raise SettingsError(f"{place}: no station: write id: … and url: …")
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    for field, line in lines.items():
        if field not in _FIELDS:
            raise SettingsError(
                f"{name}:{line}: unknown field {field[:40]!r}: use {', '.join(_FIELDS)}"
            )
    for field in _REQUIRED:
        if field not in lines:
            raise SettingsError(f"{place}: the station has no {field}: add {field}: …")
    values = _construct(yaml, node, place)
    values.setdefault("name", str(values["id"]))
    return _checked(values, name, lines, place)


def _construct(yaml: Any, node: Any, place: str) -> dict[str, Any]:
    loader = yaml.SafeLoader("")
    try:
        found: dict[str, Any] = loader.construct_mapping(node, deep=True)
    except yaml.YAMLError as error:
        raise SettingsError(f"{place}: {getattr(error, 'problem', error)}") from error
    finally:
        loader.dispose()
    return found


def _checked(values: dict[str, Any], name: str, lines: dict[str, int], place: str) -> Station:
    try:
        station = msgspec.convert(values, Station)
    except msgspec.ValidationError as error:
        found = re.search(r"\$\.(\w+)", str(error))
        where = f"{name}:{lines[found.group(1)]}" if found and found.group(1) in lines else place
        raise SettingsError(f"{where}: {error}") from error
    checks: dict[str, Callable[[], None]] = {
        "url": lambda: check_address(station.url, local=True),
        "headers": lambda: _check_headers(station.headers),
        "user_agent": lambda: _check_headers({"User-Agent": station.user_agent or ""}),
        "timezone": lambda: _check_zone(station.timezone),
    }
    for field, check in checks.items():
        try:
            check()
        except ValueError as error:
            raise SettingsError(f"{name}:{lines.get(field, lines['id'])}: {error}") from error
    return station


def _check_headers(headers: dict[str, str]) -> None:
    for key, value in headers.items():
        if not _HEADER.match(key) or any(ord(c) < 32 for c in value):
            raise ValueError(f"header {key[:40]!r} cannot be sent: no line breaks, no blanks")


def _check_zone(timezone: str) -> None:
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"unknown timezone {timezone[:60]!r}: write an IANA name such as Europe/Berlin"
        ) from error


def import_stations(data: bytes, name: str) -> list[Station]:
    """Read stations from OPML, m3u or pls, with ids made of their names.

    Raises
    ------
    SettingsError
        It is none of these, or names no address that we listen to.
    """
    stations, used = list[Station](), set[str]()
    for number, entry in enumerate(_read_list(data, name), 1):
        try:
            check_address(entry.url, local=False)
        except ValueError as error:
            raise SettingsError(f"{name}: entry {number}: {error}") from error
        station_id = _free_id(entry, number, used)
        stations.append(Station(id=station_id, name=entry.title or station_id, url=entry.url))
    if not stations:
        raise SettingsError(f"{name} names no station: give an OPML, m3u or pls file")
    return stations


def _read_list(data: bytes, name: str) -> list[Entry]:
    text = decode_playlist(data[:_MAX_BYTES])
    try:
        if text.lstrip().startswith("<"):
            return parse_opml(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error
    kind = playlist_kind(data[:4096])
    if kind == "hls":
        raise SettingsError(f"{name} is one stream of HLS, no list: apply its address as a station")
    return parse_playlist(text, kind or "m3u")


def _free_id(entry: Entry, number: int, used: set[str]) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "-", entry.title).strip("-").lower()[:80]
    name = words or f"station-{number}"
    while name in used:
        name = f"{words or 'station'}-{number}"
        number += 1
    used.add(name)
    return name


def write_stations(stations: list[Station]) -> str:
    """Write stations as a file; what has its default is left out."""
    yaml = _yaml()
    defaults = msgspec.to_builtins(Station(id="x", name="x", url="x"))
    entries = [
        {
            key: value
            for key, value in msgspec.to_builtins(station).items()
            if key in ("id", "name", "url") or value != defaults.get(key)
        }
        for station in stations
    ]
    return str(yaml.safe_dump({"stations": entries}, sort_keys=False, allow_unicode=True))

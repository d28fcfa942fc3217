"""``genrestream dead-letters list`` and ``show``: what could not be processed, and why."""

import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiokafka import TopicPartition
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import Headers
from schemas.echo import echo
from services.dead_letters.letters import Filter, Letter, LetterPlace, NoSuchLetter, read_letter
from services.dead_letters.replaying import Replay, Replays, read_letters, read_replays
from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.settings import Settings

_DUMPED_BYTES: Final = 256
_BYTES_A_LINE: Final = 16
_SHOWN_HEADERS: Final = 50
#: Wide enough for any line where nobody reads, so that a pipe gets whole ones.
_PIPE_WIDTH: Final = 1000
_COLUMNS: Final = ("place", "written", "service", "error", "from", "stream", "bytes", "state")


def console() -> Console:
    """Return a console for standard output that wraps nothing in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


async def list_letters(settings: Settings, wanted: Filter, limit: int, json_lines: bool) -> None:
    """Print the newest letters, the newest last.

    Raises
    ------
    BrokerError
        No broker answers, or the topic does not exist.
    """
    newest: list[tuple[int, LetterPlace, Letter]] = []
    total = 0
    async for letter in read_letters(settings, wanted):
        total += 1
        heapq.heappush(newest, (letter.timestamp_ms, letter.place, letter))
        if limit and len(newest) > limit:
            heapq.heappop(newest)
    replays = await read_replays(settings)
    letters = [letter for _, _, letter in sorted(newest, key=lambda entry: entry[:2])]
    print_letters(letters, replays, json_lines)
    if json_lines:
        return
    note = f": the newest {limit} are shown, --limit 0 shows all" if total > len(letters) else ""
    Console(stderr=True).print(f"{total} dead letter{'' if total == 1 else 's'}{note}")


async def count_letters(settings: Settings, wanted: Filter, json_lines: bool) -> None:
    """Print how many letters there are, by service and error; raises as `list_letters` does."""
    counts: Counter[tuple[str, str]] = Counter()
    async for letter in read_letters(settings, wanted):
        counts[letter.service, letter.error] += 1
    if json_lines:
        for (service, error), count in sorted(counts.items()):
            _print_json({"service": service, "error": error, "count": count})
        return
    for (service, error), count in sorted(counts.items()):
        console().print(f"{count:>9,}  {printable(service):<12} {printable(error)}")
    console().print(f"{counts.total():>9,}  in all")


def print_letters(letters: Sequence[Letter], replays: Replays, json_lines: bool) -> None:
    """Print letters, a line each."""
    if json_lines:
        for letter in letters:
            _print_json(as_json(letter, replays))
    elif letters:
        _print_table(letters, replays)


def replay_line(replay: Replay, json_lines: bool) -> str:
    """Return the line that says where a letter was sent."""
    sent_to = _place_json(replay.sent_to)
    if json_lines:
        return json.dumps({"place": str(replay.letter), "sent_to": sent_to})
    return f"{replay.letter} -> {sent_to['topic']} {sent_to['partition']}:{sent_to['offset']}"


def _print_table(letters: Iterable[Letter], replays: Replays) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if name == "bytes" else "left")
    table.add_column("reason", no_wrap=not sys.stdout.isatty(), overflow="fold")
    for letter in letters:
        reason = letter.reason
        cells = (
            str(letter.place),
            _time(letter.timestamp_ms)[:19],
            letter.service,
            letter.error,
            letter.cause,
            letter.stream_id[:40],
            f"{letter.size:,}",
            state(letter, replays),
            reason.message if reason else "something else wrote to this topic",
        )
        table.add_row(*map(printable, cells))
    console().print(table)


def printable(text: str) -> str:
    """Make text from anywhere harmless to a terminal: short, control characters and markup as text.

    >>> printable("[/e]")
    '\\\\[/e]'
    """
    return escape(echo(text))


def state(letter: Letter, replays: Replays) -> str:
    """Tell in a word or two whether a letter was sent back, or came back."""
    earlier = replays.earlier(letter)
    words = ["cut"] if letter.is_cut else []
    words += [f"again {earlier}"] if earlier else []
    if count := len(replays.of(letter)):
        words.append("sent back" if count == 1 else f"sent back {count} times")
    return ", ".join(words)


async def show_letter(
    settings: Settings, place: LetterPlace, output: Path | None, json_lines: bool
) -> None:
    """Print all of a letter, or save its bytes.

    Raises
    ------
    NoSuchLetter
        There is none at that place.
    OSError
        The file cannot be written.
    """
    record = await _fetch(settings, place)
    value = record.value or b""
    if output:
        _save(value, output)
        return
    letter = read_letter(record)
    replays = await read_replays(settings)
    if json_lines:
        _print_json(as_json(letter, replays) | {"head_hex": value[:_DUMPED_BYTES].hex()})
        return
    out = console()
    for name, text in _describe(letter, replays):
        out.print(f"[bold]{name:<12}[/bold] {printable(text)}", soft_wrap=True)
    out.print()
    for line in _dump(value[:_DUMPED_BYTES]):
        out.print(line, markup=False, soft_wrap=True)
    if len(value) > _DUMPED_BYTES:
        out.print(f"… {len(value) - _DUMPED_BYTES:,} bytes more: --output FILE saves all")


def as_json(letter: Letter, replays: Replays) -> dict[str, Any]:
    """Return a letter as an object for JSON."""
    reason, earlier = letter.reason, replays.earlier(letter)
    return {
        "place": str(letter.place),
        "written": _time(letter.timestamp_ms),
        "service": reason.service if reason else None,
        "error": letter.error,
        "message": reason.message if reason else None,
        "origin": _place_json(reason.place) if reason else None,
        "sent": _time(reason.timestamp_ms) if reason else None,
        "cut_from": reason.cut_from if reason else None,
        "sha256": reason.sha256 if reason else None,
        "stream_id": letter.stream_id if letter.key else None,
        "headers": [[name, text] for name, text in _texts(letter.headers)],
        "size": letter.size,
        "repeats": str(earlier) if earlier else None,
        "replays": [
            {"sent_to": _place_json(replay.sent_to), "time": _time(replay.timestamp_ms)}
            for replay in replays.of(letter)
        ],
    }


async def _fetch(settings: Settings, place: LetterPlace) -> Any:
    topic = Topics(settings.topic_prefix).dead_letters
    async with reading(settings, [topic]) as reader:
        held = await reader.offsets()
        offsets = held.get(TopicPartition(topic, place.partition))
        if offsets is None or place.offset not in offsets:
            spans = ", ".join(
                f"{tp.partition}:{span.start} to {tp.partition}:{span.stop - 1}"
                for tp, span in sorted(held.items())
                if span
            )
            raise NoSuchLetter(f"there is no dead letter {place}: {topic} has {spans or 'none'}")
        record = await reader.message_at(TopicPartition(topic, place.partition), place.offset)
    if record.offset != place.offset:
        raise NoSuchLetter(f"there is no dead letter {place}: it is gone from {topic}")
    return record


def _save(value: bytes, output: Path) -> None:
    if str(output) == "-":
        sys.stdout.buffer.write(value)
        return
    output.write_bytes(value)
    Console(stderr=True).print(f"{len(value):,} bytes in {escape(str(output))}", soft_wrap=True)


def _describe(letter: Letter, replays: Replays) -> Iterable[tuple[str, str]]:
    reason = letter.reason
    yield "place", str(letter.place)
    yield "written", _time(letter.timestamp_ms)
    if reason:
        yield "service", reason.service
        yield "error", reason.error
        yield "reason", reason.message
        yield "from", f"{letter.cause}, sent {_time(reason.timestamp_ms)}"
        if letter.is_cut:
            yield "cut", f"from {reason.cut_from:,} bytes with SHA-256 {reason.sha256}"
    else:
        yield "error", "something else wrote to this topic: it has no headers of a dead letter"
    yield "stream", letter.stream_id or "(no key)"
    for name, text in _texts(letter.headers[:_SHOWN_HEADERS]):
        yield "header", f"{name}: {text}"
    if len(letter.headers) > _SHOWN_HEADERS:
        yield "header", f"… {len(letter.headers) - _SHOWN_HEADERS:,} more: --json has all"
    if earlier := replays.earlier(letter):
        yield "repeats", f"dead letter {earlier}, which was sent back"
    for replay in replays.of(letter):
        place = replay.sent_to
        where = f"{place.topic} {place.partition}:{place.offset}"
        yield "sent back", f"{_time(replay.timestamp_ms)} to {where}"
    yield "bytes", f"{letter.size:,}"


def _texts(headers: Headers) -> Sequence[tuple[str, str]]:
    return [(name, value.decode(errors="backslashreplace")) for name, value in headers]


def _dump(data: bytes) -> Iterable[str]:
    """Return the lines of a hex dump."""
    for start in range(0, len(data), _BYTES_A_LINE):
        row = data[start : start + _BYTES_A_LINE]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):<{3 * _BYTES_A_LINE}} {text}"


def _time(timestamp_ms: int) -> str:
    try:
        time = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place_json(place: Any) -> dict[str, Any]:
    return {"topic": place.topic, "partition": place.partition, "offset": place.offset}


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")

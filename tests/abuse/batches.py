"""Batches of records as no ordinary producer makes them: any codec, any ratio, any count."""

import gzip
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import cramjam
from aiokafka.record.default_records import DefaultRecordBase
from aiokafka.record.util import calc_crc32c_py, encode_varint

_CODECS: Final = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_HEADER = DefaultRecordBase.HEADER_STRUCT
_XERIAL: Final = b"\x82SNAPPY\x00" + b"\x00\x00\x00\x01" * 2
_SNAPPY_BLOCK: Final = 32 * 1024
_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class Many:
    """So many records alike, each with a value of zeros; without one where it is negative."""

    count: int
    value_bytes: int
    key: bytes | None = None


def varint(value: int) -> bytes:
    """Write an integer as Kafka does."""
    written = bytearray()
    encode_varint(value, written.append)
    return bytes(written)


def record_pieces(offset: int, key: bytes | None, value_bytes: int) -> Iterator[bytes]:
    """Yield one record of format 2, its value in pieces."""
    head = b"\x00" + varint(0) + varint(offset)
    head += varint(-1) if key is None else varint(len(key)) + key
    head += varint(value_bytes)
    size = max(0, value_bytes)
    yield varint(len(head) + size + 1) + head
    for start in range(0, size, _PIECE):
        yield bytes(min(_PIECE, size - start))
    yield varint(0)


def batch(records: Many, codec: str, *, timestamp_ms: int, attributes: int = 0) -> bytes:
    """Return a batch; neither it nor this process holds what it decompresses to."""
    payload = compress(
        codec,
        (
            piece
            for offset in range(records.count)
            for piece in record_pieces(offset, records.key, records.value_bytes)
        ),
    )
    head = _HEADER.pack(
        0,
        0,
        0,
        2,
        0,
        _CODECS[codec] | attributes,
        records.count - 1,
        timestamp_ms,
        timestamp_ms,
        -1,
        -1,
        -1,
        records.count,
    )
    return _sealed(head[DefaultRecordBase.ATTRIBUTES_OFFSET :] + payload)


def _sealed(after_crc: bytes) -> bytes:
    """Put length and checksum in front of the rest of a batch."""
    length = (
        len(after_crc) + DefaultRecordBase.ATTRIBUTES_OFFSET - DefaultRecordBase.AFTER_LEN_OFFSET
    )
    crc = calc_crc32c_py(after_crc)
    lengths = (0).to_bytes(8, "big") + length.to_bytes(4, "big") + (0).to_bytes(4, "big")
    sealed: bytes = lengths + b"\x02" + crc.to_bytes(4, "big") + after_crc
    return sealed


def claiming(data: bytes, count: int) -> bytes:
    """Return a batch that says that it has so many records."""
    after_crc = bytearray(data[DefaultRecordBase.ATTRIBUTES_OFFSET :])
    place = _HEADER.size - 4 - DefaultRecordBase.ATTRIBUTES_OFFSET
    after_crc[place : place + 4] = count.to_bytes(4, "big")
    return _sealed(bytes(after_crc))


def lying(records: Many, claimed: int) -> bytes:
    """Return a batch whose first record says that its value has so many bytes."""
    data = batch(records, "none", timestamp_ms=0)
    size, true = varint(records.value_bytes), bytes(records.value_bytes)
    return _sealed(
        data[DefaultRecordBase.ATTRIBUTES_OFFSET :].replace(size + true, varint(claimed) + true, 1)
    )


def cut_short(data: bytes) -> bytes:
    """Return a batch without its last bytes."""
    return _sealed(data[DefaultRecordBase.ATTRIBUTES_OFFSET : -3])


def compress(codec: str, pieces: Iterable[bytes]) -> bytes:
    """Compress pieces one after another."""
    if codec == "none":
        return b"".join(pieces)
    if codec == "gzip":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
            for piece in _joined(pieces):
                file.write(piece)
        return buffer.getvalue()
    if codec == "snappy":
        return _XERIAL + b"".join(_snappy_blocks(pieces))
    module = getattr(cramjam, codec)
    compressor = (
        module.Compressor(level=9, content_checksum=False, block_linked=False)
        if codec == "lz4"
        else module.Compressor(level=3)
    )
    for piece in _joined(pieces):
        compressor.compress(piece)
    return bytes(compressor.finish())


def _joined(pieces: Iterable[bytes], size: int = _PIECE) -> Iterator[bytes]:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= size:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _snappy_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for joined in _joined(pieces):
        for start in range(0, len(joined), _SNAPPY_BLOCK):
            block = bytes(cramjam.snappy.compress_raw(joined[start : start + _SNAPPY_BLOCK]))
            yield len(block).to_bytes(4, "big") + block


async def send_batch(producer: Any, topic: str, partition: int, data: bytes, count: int) -> int:
    """Send a batch as it is; return the offset of its first record."""
    builder = producer.create_batch()
    builder.append(timestamp=0, key=None, value=b"")
    builder.close()
    builder._buffer = bytearray(data)
    builder._relative_offset = count
    sent = await (await producer.send_batch(builder, topic, partition=partition))
    return int(sent.offset)

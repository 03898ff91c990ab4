"""Whose data a folder holds, read from the write-ahead log itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Identity", "fields_of", "parse_wal_head"]

_METADATA_RECORD = 1
_LENGTH_MASK = (1 << 56) - 1


@dataclass(frozen=True, order=True)
class Identity:
    """The ids that a write-ahead log was made for.

    Args:
        member: the member's id.
        cluster: the cluster's id.
    """

    member: int
    cluster: int


def parse_wal_head(head: bytes) -> Identity | None:
    """Read member and cluster id from the beginning of a segment of the write-ahead log.

    A segment begins with a checksum record and a metadata record; each is a little-endian length (its upper byte is
    padding), then a protobuf message (etcd: server/storage/wal/encoder.go, walpb/record.proto, Metadata in
    etcdserverpb/etcdserver.proto).

    Args:
        head: the first bytes of the newest segment; 512 are plenty.

    Returns:
        The ids, or None where the bytes are not the beginning of a segment.
    """
    position = 0
    while position + 8 <= len(head):
        field = int.from_bytes(head[position : position + 8], "little")
        length, padding = field & _LENGTH_MASK, (field >> 56) & 0x7 if field >> 63 else 0
        record = head[position + 8 : position + 8 + length]
        if not length or len(record) < length:
            return None
        fields = fields_of(record)
        if fields is None:
            return None
        if fields.get(1) == _METADATA_RECORD:
            metadata = fields.get(3)
            ids = fields_of(metadata) if isinstance(metadata, bytes) else None
            if ids is None:
                return None
            member, cluster = ids.get(1), ids.get(2)
            return Identity(member, cluster) if isinstance(member, int) and isinstance(cluster, int) else None
        position += 8 + length + padding
    return None


def fields_of(message: bytes) -> dict[int, int | bytes] | None:
    """Read the fields of a protobuf message, of the two kinds that etcd's log has.

    Args:
        message: the message.

    Returns:
        The value of each field by its number, of one that comes again the last; None where it is no such message.
    """
    fields: dict[int, int | bytes] = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag is None:
            return None
        number, kind = tag >> 3, tag & 7
        value, position = _varint(message, position)
        if value is None:
            return None
        if kind == 0:
            fields[number] = value
        elif kind == 2:  # noqa: PLR2004 - protobuf's length-delimited kind
            if position + value > len(message):
                return None
            fields[number] = message[position : position + value]
            position += value
        else:
            return None
    return fields


def _varint(message: bytes, position: int) -> tuple[int | None, int]:
    value = 0
    for index, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, position + index + 1
    return None, position

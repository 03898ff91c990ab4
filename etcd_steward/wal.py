"""Where a member's write-ahead log ends, and the record that lets a lone member keep all of it.

etcd answers a write once a majority has it in their logs; a member's own log notes only later that this was agreed upon, and
mostly without a sync. `--force-new-cluster` throws away what its log does not call agreed upon, also where a client has
its answer (3.4.23 and 3.5.30 all of it; 3.5.34, 3.6.16 and 3.7.3 what the database lacks). So a copy of the log gets a
record that calls all of it agreed upon, as a majority that comes together again would. What was never answered may be
among it, as it may be after every election.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from etcd_steward.identity import fields_of

__all__ = ["LogEnd", "agreed", "crc32c", "furthest", "read_end"]

# etcd: walpb/record.proto and wal/wal.go.
_ENTRY, _STATE, _CRC, _SNAPSHOT = 2, 3, 4, 5
_KINDS = range(1, 6)
_LENGTH_MASK = (1 << 56) - 1
# Only what was written last can be torn; etcd itself proves all of it when it reads the copy.
_PROVED = 1 << 20


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _table()


def crc32c(data: bytes, before: int = 0) -> int:
    """Compute the checksum that etcd's log carries on from record to record (Castagnoli's).

    Args:
        data: what is added.
        before: the checksum of all that lies before it.

    Returns:
        The checksum of both.
    """
    value = before ^ 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


@dataclass(frozen=True)
class LogEnd:
    """Where a log ends.

    Args:
        term: the term of its last entry.
        index: the index of that.
        commit: up to which index the log itself says that it was agreed upon.
        state_term: the term that the member was in.
        vote: whom it elected in that.
        position: where in the newest segment the next record goes.
        crc: the checksum of all records before that.
        damaged: more records lie behind one that cannot be proved.
    """

    term: int
    index: int
    commit: int
    state_term: int
    vote: int
    position: int
    crc: int
    damaged: bool = False

    @property
    def reach(self) -> tuple[int, int]:
        """How far it goes, in the order in which raft itself compares logs."""
        return self.term, self.index


@dataclass(frozen=True)
class _Record:
    kind: int
    crc: int
    data: bytes
    end: int


def read_end(segments: Sequence[bytes]) -> LogEnd | None:
    """Find the end of a log.

    Args:
        segments: its newest segments, the newest last; one that was just begun holds no entry, so that two are needed.

    Returns:
        The end; None where these are no segments, or where no entry is in them.
    """
    entry = commit = (0, 0, 0)
    last: tuple[int, int] | None = None
    position = crc = 0
    damaged = False
    for segment in segments:
        position, crc, damaged = 0, 0, False
        before: int | None = None
        records = list(_records(segment))
        for record in records:
            if not _proved(record, before, len(segment) and records[-1].end - record.end):
                damaged = record is not records[-1]
                break
            before = crc = record.crc
            position = record.end
            if record.kind == _ENTRY:
                entry = _numbers(record.data, 2, 3, 1)
                last = entry[:2]
            elif record.kind == _SNAPSHOT:
                index, term, _ = _numbers(record.data, 1, 2, 3)
                if last is None or index > last[1]:
                    last = (term, index)
            elif record.kind == _STATE:
                commit = _numbers(record.data, 1, 2, 3)
        if not position:
            return None
    if last is None:
        return None
    return LogEnd(*last, commit[2], commit[0], commit[1], position, crc, damaged)


def _records(segment: bytes) -> Iterator[_Record]:
    """Give the records of a segment up to its end, or up to what is none."""
    position = 0
    while position + 8 <= len(segment):
        frame = int.from_bytes(segment[position : position + 8], "little")
        length, padding = frame & _LENGTH_MASK, (frame >> 56) & 0x7 if frame >> 63 else 0
        end = position + 8 + length + padding
        if not length or end > len(segment):
            return
        fields = fields_of(segment[position + 8 : position + 8 + length])
        kind, crc, data = (fields or {}).get(1), (fields or {}).get(2, 0), (fields or {}).get(3, b"")
        if not (
            isinstance(kind, int) and kind in _KINDS and isinstance(crc, int) and isinstance(data, bytes)
        ):
            return
        yield _Record(kind, crc, data, end)
        position = end


def _proved(record: _Record, before: int | None, behind: int) -> bool:
    if record.kind == _CRC or before is None or behind > _PROVED:
        return True
    return crc32c(record.data, before) == record.crc


def _numbers(message: bytes, *fields: int) -> tuple[int, int, int]:
    found = fields_of(message) or {}
    first, second, third = (value if isinstance(value := found.get(one, 0), int) else 0 for one in fields)
    return first, second, third


def agreed(end: LogEnd) -> bytes:
    """Write the record by which a log calls everything in it agreed upon.

    Args:
        end: where the log ends.

    Returns:
        What goes to `end.position` of its newest segment, behind which nothing may lie then.
    """
    data = b"\x08" + _varint(max(end.state_term, end.term)) + b"\x10" + _varint(end.vote)
    data += b"\x18" + _varint(end.index)
    record = (
        bytes([0x08, _STATE, 0x10]) + _varint(crc32c(data, end.crc)) + b"\x1a" + _varint(len(data)) + data
    )
    padding = -len(record) % 8
    frame = len(record) | ((0x80 | padding) << 56 if padding else 0)
    return frame.to_bytes(8, "little") + record + b"\0" * padding


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def furthest(ends: Mapping[str, LogEnd]) -> list[str]:
    """Say whose log goes furthest, as raft compares them: first the term of the last entry, then its index.

    Args:
        ends: where the logs end, by their owners.

    Returns:
        The owners of those that no other goes beyond.
    """
    best = max((end.reach for end in ends.values()), default=None)
    return [name for name, end in ends.items() if end.reach == best]

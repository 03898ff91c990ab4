"""Reads one bucket out of a bbolt database, as etcd's snapshots are; nothing but what a member list needs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

__all__ = ["BoltError", "bucket", "last_key"]

# bbolt, page.go, node.go and bucket.go: little endian on all that etcd supports.
_PAGE = struct.Struct("<QHHI")  # id, flags, count, overflow
_META = struct.Struct(
    "<IIIIQQQQQ"
)  # magic, version, page size, flags, root page, sequence, freelist, pages, transaction
_BRANCH = struct.Struct("<IIQ")  # position, key size, page
_LEAF = struct.Struct("<IIII")  # flags, position, key size, value size
_BUCKET = struct.Struct("<QQ")  # root page, sequence
_MAGIC, _VERSION = 0xED0CDAED, 2
_IS_BRANCH, _IS_LEAF, _IS_META = 1, 2, 4
_IS_BUCKET = 1
_SIZES = (4096, 8192, 16384, 32768, 65536)
_DEEPEST = 32


class BoltError(ValueError):
    """It is no database of bbolt, or a damaged one."""


@dataclass(frozen=True)
class _Meta:
    size: int
    root: int
    transaction: int


def bucket(file: IO[bytes], name: bytes) -> dict[bytes, bytes]:
    """Read all pairs of a bucket at the top of a database.

    Args:
        file: the database; a digest behind it does no harm.
        name: the bucket's name.

    Returns:
        Its keys and values; empty where there is no such bucket.

    Raises:
        BoltError: it cannot be read.
    """
    try:
        meta = _meta(file)
        top = dict(_pairs(file, meta.size, meta.root, 0))
        value = top.get(name)
        if value is None:
            return {}
        flags, content = value
        if not flags & _IS_BUCKET:
            raise BoltError(f"found {name!r} that is no bucket")
        (root, _) = _BUCKET.unpack_from(content)
        if root:
            pairs = _pairs(file, meta.size, root, 0)
        else:  # a small bucket lies in its value
            pairs = _page(file, meta.size, content[_BUCKET.size :], 0)
        return {key: inner for key, (_, inner) in pairs}
    except (struct.error, RecursionError, MemoryError) as error:
        raise BoltError(f"found a damaged database ({error})") from error


def last_key(file: IO[bytes], name: bytes) -> bytes | None:
    """Read the last key of a bucket at the top of a database, whatever its size.

    Args:
        file: the database; a digest behind it does no harm.
        name: the bucket's name.

    Returns:
        The key, or None where there is no such bucket, or nothing in it.

    Raises:
        BoltError: it cannot be read.
    """
    try:
        meta = _meta(file)
        flags, content = dict(_pairs(file, meta.size, meta.root, 0)).get(name, (_IS_BUCKET, b""))
        if not flags & _IS_BUCKET:
            raise BoltError(f"found {name!r} that is no bucket")
        if not content:
            return None
        (number, _) = _BUCKET.unpack_from(content)
        if not number:
            return max((key for key, _ in _page(file, meta.size, content[_BUCKET.size :], 0)), default=None)
        for _ in range(_DEEPEST):
            file.seek(number * meta.size)
            at, kind, count, overflow = _PAGE.unpack(file.read(_PAGE.size))
            if at != number:
                raise BoltError(f"found page {at}, wanted {number}")
            if not kind & _IS_BRANCH or not count:
                file.seek(number * meta.size)
                page = file.read((overflow + 1) * meta.size)
                return max((key for key, _ in _page(file, meta.size, page, 0)), default=None)
            file.seek(number * meta.size + _PAGE.size + (count - 1) * _BRANCH.size)
            _, _, number = _BRANCH.unpack(file.read(_BRANCH.size))
        raise BoltError("found pages without an end")
    except (struct.error, RecursionError, MemoryError) as error:
        raise BoltError(f"found a damaged database ({error})") from error


def _meta(file: IO[bytes]) -> _Meta:
    found = []
    for at in (0, *_SIZES):
        file.seek(at)
        head = file.read(_PAGE.size + _META.size)
        if len(head) < _PAGE.size + _META.size or not _PAGE.unpack_from(head)[1] & _IS_META:
            continue
        magic, version, size, _, root, _, _, _, transaction = _META.unpack_from(head, _PAGE.size)
        if (magic, version) == (_MAGIC, _VERSION) and size in _SIZES:
            found.append(_Meta(size, root, transaction))
    if not found:
        raise BoltError("found no database of bbolt")
    return max(found, key=lambda one: one.transaction)


def _pairs(file: IO[bytes], size: int, number: int, depth: int) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    file.seek(number * size)
    head = file.read(_PAGE.size)
    at, _, _, overflow = _PAGE.unpack(head)
    if at != number or depth > _DEEPEST:
        raise BoltError(f"found page {at}, wanted {number}")
    file.seek(number * size)
    yield from _page(file, size, file.read((overflow + 1) * size), depth)


def _page(
    file: IO[bytes], size: int, content: bytes, depth: int
) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    _, flags, count, _ = _PAGE.unpack_from(content)
    if flags & _IS_BRANCH:
        for index in range(count):
            _, _, child = _BRANCH.unpack_from(content, _PAGE.size + index * _BRANCH.size)
            yield from _pairs(file, size, child, depth + 1)
    elif flags & _IS_LEAF:
        for index in range(count):
            start = _PAGE.size + index * _LEAF.size
            kind, position, key_size, value_size = _LEAF.unpack_from(content, start)
            key_at = start + position
            value_at = key_at + key_size
            if value_at + value_size > len(content):
                raise BoltError("found a pair beyond its page")
            yield content[key_at:value_at], (kind, content[value_at : value_at + value_size])
    else:
        raise BoltError(f"found a page of kind {flags}")

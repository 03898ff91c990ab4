"""The end of a write-ahead log is found as etcd itself finds it, and a lone member keeps all of it.

`wal-VERSION.gz` is what members of three had on their disks that were killed directly after a client had its answer: their
last entry, the client's, is behind what their log calls agreed upon.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.wal import LogEnd, agreed, crc32c, furthest, read_end

DATA = Path(__file__).parents[1] / "data"
RELEASES = ("3.4.23", "3.5.30", "3.7.3")


def segment(version: str) -> bytes:
    return gzip.decompress((DATA / f"wal-{version}.gz").read_bytes())


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


@pytest.mark.parametrize("version", RELEASES)
def test_an_acknowledged_write_may_lie_behind_what_the_log_calls_agreed_upon(version: str) -> None:
    end = read_end([segment(version)])
    assert end is not None
    assert (end.reach, end.commit, end.damaged) == ((2, 40), 39, False)
    assert b"acked" in segment(version)[: end.position]


@pytest.mark.parametrize("version", RELEASES)
def test_one_record_more_calls_all_of_the_log_agreed_upon(version: str) -> None:
    content = segment(version)
    end = read_end([content])
    assert end is not None
    patched = content[: end.position] + agreed(end)
    after = read_end([patched])
    assert after is not None
    assert after.position == len(patched)
    assert after == replace(end, commit=40, position=after.position, crc=after.crc)


@pytest.mark.parametrize("version", RELEASES)
def test_a_record_that_was_cut_by_a_power_cut_is_passed_over(version: str) -> None:
    content = segment(version)
    end = read_end([content])
    assert end is not None
    torn = content[: end.position - 24] + b"\0" * 64
    before = read_end([torn])
    assert before is not None
    assert before.position < end.position, "and etcd reads it with its next record there"
    assert (before.index in {39, 40}, before.damaged) == (True, False)
    assert read_end([torn[: before.position] + agreed(before)]) is not None


def test_what_lies_behind_a_damaged_record_is_said_to_be_there() -> None:
    content = bytearray(segment("3.5.30"))
    content[content.index(b"k20")] ^= 0xFF
    end = read_end([bytes(content)])
    assert end is not None
    assert end.damaged
    assert end.index < 40


def test_a_segment_that_was_just_begun_needs_the_one_before() -> None:
    content = segment("3.5.30")
    end = read_end([content])
    assert end is not None
    begun = frame(4, end.crc, b"") + b"\0" * 512
    assert read_end([begun]) is None
    both = read_end([content, begun])
    assert both is not None
    assert (both.reach, both.commit, both.crc, both.position) == ((2, 40), 39, end.crc, len(begun) - 512)


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def frame(kind: int, crc: int, data: bytes) -> bytes:
    record = bytes([8, kind, 16]) + varint(crc) + b"\x1a" + varint(len(data)) + data
    padding = -len(record) % 8
    length = len(record) | ((0x80 | padding) << 56 if padding else 0)
    return length.to_bytes(8, "little") + record + b"\0" * padding


def entry(term: int, index: int, data: bytes) -> bytes:
    return b"\x08\x00\x10" + varint(term) + b"\x18" + varint(index) + b"\x22" + varint(len(data)) + data


def log_of(entries: list[tuple[int, int, bytes]], commit: int) -> bytes:
    crc, written = 0, frame(4, 0, b"")
    for kind, data in [
        *((2, entry(*one)) for one in entries),
        (3, b"\x08\x01\x10\x07\x18" + varint(commit)),
    ]:
        crc = crc32c(data, crc)
        written += frame(kind, crc, data)
    return written


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 1 << 40), st.binary(max_size=300)),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 1 << 41),
    st.integers(0, 600),
)
def test_the_last_entry_counts_whatever_the_log_holds_and_all_of_it_is_agreed_upon(
    entries: list[tuple[int, int, bytes]], commit: int, zeros: int
) -> None:
    content = log_of(entries, commit)
    end = read_end([content + b"\0" * zeros])
    assert end is not None
    assert (end.reach, end.commit, end.position) == (entries[-1][:2], commit, len(content))
    after = read_end([content + agreed(end)])
    assert after is not None
    assert (after.reach, after.commit) == (end.reach, end.index)
    assert after.position % 8 == 0


@given(st.binary(max_size=400))
def test_what_is_no_log_is_taken_for_none(content: bytes) -> None:
    end = read_end([content])
    assert end is None or isinstance(end, LogEnd)


def test_logs_are_compared_as_raft_compares_them() -> None:
    end = LogEnd(2, 40, 39, 2, 1, 100, 7)
    ends = {"n1": end, "n2": replace(end, term=3, index=12), "n3": replace(end, term=3, index=12, commit=1)}
    assert furthest(ends) == ["n2", "n3"]
    assert furthest({"n1": end, "n2": replace(end, index=41)}) == ["n2"]
    assert furthest({}) == []

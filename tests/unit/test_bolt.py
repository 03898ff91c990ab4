"""The members in a database are read as etcd wrote them, and nothing else is taken for a database.

`snapshot-3.5.30.db.gz` is a snapshot of etcd 3.5.30: one voter, one learner, keys k1 to k150.
"""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from etcd_steward.bolt import BoltError, bucket

SNAPSHOT = gzip.decompress((Path(__file__).parents[1] / "data/snapshot-3.5.30.db.gz").read_bytes())


def test_members_are_read_out_of_a_real_snapshot() -> None:
    found = [json.loads(one) for one in bucket(io.BytesIO(SNAPSHOT), b"members").values()]
    assert {one.get("name", ""): one.get("isLearner", False) for one in found} == {"n1": False, "": True}
    assert bucket(io.BytesIO(SNAPSHOT), b"members_removed") == {}
    assert bucket(io.BytesIO(SNAPSHOT), b"no such bucket") == {}


def test_a_bucket_of_many_pages_is_read_whole() -> None:
    values = bucket(io.BytesIO(SNAPSHOT), b"key")
    assert len(values) == 150
    assert list(values) == sorted(values)
    assert b"k150" in values[max(values)]


@pytest.mark.parametrize("content", [b"", b"\0" * 65536, SNAPSHOT[:8192], b"SQLite format 3\0" * 1000])
def test_what_is_no_whole_database_is_never_taken_for_one_without_members(content: bytes) -> None:
    with pytest.raises(BoltError):
        bucket(io.BytesIO(content), b"members")


def test_a_damaged_page_is_noticed() -> None:
    for at in range(2 * 4096, len(SNAPSHOT) - 4096, 4096):
        damaged = SNAPSHOT[:at] + b"\xff" * 4096 + SNAPSHOT[at + 4096 :]
        try:
            found = bucket(io.BytesIO(damaged), b"members")
        except BoltError:
            continue
        assert len(found) == 2, "a page that the members do not lie on"

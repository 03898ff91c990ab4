"""Whose data a folder holds, out of the first bytes of its log: against bytes that real releases of etcd wrote."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.identity import Identity, parse_wal_head

HEADS = json.loads((Path(__file__).parents[1] / "data" / "wal-heads.json").read_text())
NAMED = [pytest.param(head, id=f"{head['release']}-{head['kind']}") for head in HEADS]
REAL = bytes.fromhex(HEADS[0]["head"])


@pytest.mark.parametrize("head", NAMED)
def test_the_ids_of_a_real_log_are_those_that_etcd_itself_told(head):
    found = parse_wal_head(bytes.fromhex(head["head"]))
    assert found == Identity(int(head["member_id"], 16), int(head["cluster_id"], 16))


def test_the_heads_come_from_old_and_new_releases_and_from_a_later_segment():
    assert {head["release"] for head in HEADS} == {"3.4.23", "3.5.1", "3.5.30"}
    assert any(head["segment"].startswith("0000000000000001-") for head in HEADS)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 17, 23, 24, 40, 54])
def test_a_head_that_is_cut_off_before_the_ids_has_none(length):
    assert parse_wal_head(REAL[:length]) is None


@pytest.mark.parametrize(
    "content", [bytes(512), b"\xff" * 512, b"SQLite format 3\0" * 32, REAL[1:], b"\0" + REAL]
)
def test_bytes_of_something_else_have_no_ids(content):
    assert parse_wal_head(content) is None


@given(st.binary(max_size=600))
def test_any_bytes_give_ids_or_none_and_never_an_error(content):
    assert parse_wal_head(content) is None or isinstance(parse_wal_head(content), Identity)


@settings(max_examples=300)
@given(
    st.sampled_from([bytes.fromhex(head["head"]) for head in HEADS]),
    st.dictionaries(st.integers(0, 90), st.integers(0, 255), min_size=1, max_size=4),
    st.integers(0, 512),
)
def test_a_damaged_real_head_gives_ids_or_none_and_never_an_error(head, damage, length):
    content = bytearray(head)
    for place, octet in damage.items():
        content[place] = octet
    found = parse_wal_head(bytes(content[:length]))
    assert found is None or (0 <= found.member < 2**70 and 0 <= found.cluster < 2**70)

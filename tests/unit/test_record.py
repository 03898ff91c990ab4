"""The lasting identity of a cluster, on the controller and on its hosts."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.record import Record, read_controller_record, still_open, write_controller_record
from etcd_steward.settings import read_settings
from etcd_steward.topology import build_cluster, cluster_id, member_id

OPEN = Record("pi", "cdf818194e3a8c32", "pi-3f9a01bc", open=True, members={"n1": "8e9e05c52164694d"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cluster", "id", "token", "open", "members", "x"]), inner, max_size=6
        )
    ),
)


@pytest.fixture
def cluster():
    settings = {
        f"n{number}": read_settings("", {"etcd_address": f"10.0.0.{number}", "etcd_data_dir": "/srv/etcd"})[0]
        for number in (1, 2, 3)
    }
    return build_cluster("pi", settings, {}, {})[0]


def test_a_new_record_is_open_and_has_the_ids_that_follow_from_its_token(cluster):
    record = Record.new(cluster)
    ids = [member_id([member.peer_url], record.token) for member in cluster.members]
    assert record.open
    assert record.members == {f"n{number}": f"{one:016x}" for number, one in enumerate(ids, 1)}
    assert record.id == f"{cluster_id(ids):016x}"


def test_every_new_record_has_a_token_of_its_own(cluster):
    tokens = {Record.new(cluster).token for _ in range(50)}
    assert len(tokens) == 50
    assert all(token.startswith("pi-") and len(token) == 11 for token in tokens)


def test_to_close_a_record_changes_nothing_else():
    closed = OPEN.closed()
    assert not closed.open
    assert Record(closed.cluster, closed.id, closed.token, open=True, members=closed.members) == OPEN


def test_a_record_is_one_line_and_is_read_as_it_was_written(cluster):
    record = Record.new(cluster)
    for text in (record.text(), record.text(cluster.members[0])):
        assert text.count("\n") == 1
        assert Record.read(json.loads(text)) == record


def test_the_hosts_copy_tells_where_the_data_was(cluster):
    told = json.loads(OPEN.text(cluster.members[0]))
    assert (told["data_dir"], told["wal_dir"]) == ("/srv/etcd", None)
    assert told["written by"] == "etcd-steward"


def test_the_same_record_is_the_same_text_whatever_the_order_of_its_members():
    one = Record("pi", "1", "t", open=False, members={"a": "1", "b": "2"})
    other = Record("pi", "1", "t", open=False, members={"b": "2", "a": "1"})
    assert one.text() == other.text()


@given(JSON)
def test_anything_else_is_no_record_and_never_an_error(value):
    found = Record.read(value)
    assert found is None or set(value) >= {"cluster", "id", "token", "open", "members"}


@pytest.mark.parametrize(
    ("records", "is_open"),
    [
        ({}, False),
        ({"n1": OPEN}, True),
        ({"n1": OPEN, "the controller": OPEN}, True),
        ({"n1": OPEN, "the controller": OPEN.closed()}, False),
        ({"n1": OPEN.closed(), "the controller": OPEN}, False),
    ],
)
def test_one_closed_record_says_that_the_cluster_has_formed(records, is_open):
    assert still_open(records) == is_open


def test_the_controllers_copy_is_kept_and_closed_in_its_place(tmp_path):
    assert read_controller_record(tmp_path) is None
    write_controller_record(tmp_path, OPEN)
    assert read_controller_record(tmp_path) == OPEN
    write_controller_record(tmp_path, OPEN.closed())
    assert read_controller_record(tmp_path) == OPEN.closed()
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.json"]


def test_the_controllers_copy_of_another_cluster_is_moved_aside_and_never_overwritten(tmp_path):
    others = [Record("pi", number, "t", open=False, members={}) for number in ("a1", "b2", "a1", "c3")]
    for record in others:
        write_controller_record(tmp_path, record)
    assert read_controller_record(tmp_path) == others[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cluster.a1-1.json",
        "cluster.a1.json",
        "cluster.b2.json",
        "cluster.json",
    ]


def test_an_interrupted_write_leaves_the_copy_that_was_there(tmp_path, monkeypatch):
    write_controller_record(tmp_path, OPEN)

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_controller_record(tmp_path, OPEN.closed())
    assert read_controller_record(tmp_path) == OPEN

"""Which snapshot is tried, out of what the hosts and the controller tell of theirs."""

import json
from dataclasses import replace

import pytest

from etcd_steward import drilling
from etcd_steward.drilling import choose_trial, known_id
from tests.engine.fakes import World
from tests.unit.test_restoring import HOSTS, LINE, N1, N2, Run, configured, lost


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def line(**changes):
    return json.dumps({**json.loads(LINE), **changes})


def told(monkeypatch, **lists):
    """Let hosts tell of their snapshots; a name without any is of a host whose listing fails."""
    lists = {f"@fake/{name}": lines for name, lines in lists.items()}
    monkeypatch.setattr(drilling, "ask", lambda _run, host, _question: lists.get(host, ["end"]))


def nowhere(sight, tmp_path, **settings):
    return configured(sight, etcd_backup_dir=str(tmp_path), **settings)


def test_without_a_quorum_the_newest_is_of_the_cluster_that_the_records_name_whatever_a_clock_said(
    world, tmp_path, monkeypatch
):
    own = line(file="own.db", cluster_id=world.record.id, revision=5000, seconds=1790000000)
    earlier = line(file="earlier.db", cluster_id="bb" * 8, revision=9, seconds=1890000000)
    told(monkeypatch, n1=[own, earlier, "end"])
    trial, complaints = choose_trial(Run(), nowhere(lost(world), tmp_path), set(HOSTS), bare=True)
    assert not complaints
    assert trial.manifest.file == "own.db"


def test_the_cluster_is_known_by_what_answers_then_by_the_controller_then_by_hosts_that_agree(world):
    sight, record = lost(world), world.record
    other = replace(record, id="bb" * 8)
    assert known_id(replace(world.sight(), records={N1: other})) == record.id
    assert known_id(replace(sight, records={"the controller": record, N1: other})) == record.id
    assert known_id(replace(sight, records={N1: record, N2: record})) == record.id
    assert known_id(replace(sight, records={N1: record, N2: other})) is None
    assert known_id(replace(sight, records={N1: replace(record, open=True)})) is None
    assert known_id(configured(replace(sight, records={N1: record}), etcd_forget_cluster=record.id)) is None

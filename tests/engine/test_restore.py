"""A restore that is run again over pretended hosts: what is finished, and what is judged."""

from dataclasses import replace

import pytest

from etcd_steward.record import read_controller_record, write_controller_record
from etcd_steward.verbs import restore
from tests.engine.common import HOSTS, N1, N3
from tests.engine.fakes import World, run_deploy
from tests.engine.living import Living
from tests.unit.test_restoring import LINE


@pytest.fixture
def restored(tmp_path):
    """Make a cluster that was restored from a snapshot, whose records are closed."""
    world = World(tmp_path / "controller", etcd_snapshot="etcd-n1-r9.db")
    world.record = replace(world.record, snapshot=LINE)
    write_controller_record(world.pki / "etcd", world.record)
    for host in HOSTS:
        world.show(host, "converged")
    return world


def opened_on(world, *hosts):
    """Let the records of some hosts be open still, as a run leaves them that is cut while it closes them."""
    closed = world.record
    world.record = replace(closed, open=True)
    for host in hosts:
        world.show(host, "converged")
    world.record = closed


def counted(living):
    """Answer the count of keys as the manifest has it."""
    answer = living._answer
    living._answer = lambda host, command: (
        ["keys 4"] if "--keys-only --limit=1 --rev=" in command else answer(host, command)
    )
    return living


def test_a_finished_restore_that_is_well_is_left_alone(restored):
    result = run_deploy(restored.hosts, restore)
    assert (result.refused, result.failed) == ("", set())
    assert "restored from etcd-n1-r9.db already" in result.log
    assert result.only_looked


def test_a_restore_that_was_cut_while_it_closed_the_records_is_finished_by_the_next_run(restored):
    opened_on(restored, N1, N3)
    living = counted(Living(restored))
    result = run_deploy(restored.hosts, restore)
    assert (result.refused, result.failed) == ("", set()), result.log
    assert "already" not in result.log
    assert sorted(living.happened("write")) == [N1, N3]
    # Clients may use it already.
    assert living.happened("stop") == []
    assert read_controller_record(restored.pki / "etcd") == restored.record


def test_a_member_that_stopped_before_its_record_was_closed_is_started_again(restored):
    opened_on(restored, N1, N3)
    lines = restored.hosts[N3].lines
    restored.show(N3, "stopped")
    record = next(line for line in lines if line.startswith("record "))
    restored.hosts[N3].lines = [
        record if line.startswith("record ") else line for line in restored.hosts[N3].lines
    ]
    living = counted(Living(restored))
    result = run_deploy(restored.hosts, restore)
    assert (result.refused, result.failed) == ("", set()), result.log
    assert living.happened("start") == [N3]
    assert living.happened("stop") == []


def test_a_finished_restore_is_judged_when_it_is_run_again(restored):
    restored.show(N3, "stopped")
    result = run_deploy(restored.hosts, restore)
    assert result.failed == {N3}
    assert "found etcd" in result.log
    assert result.only_looked


def test_a_finished_restore_without_a_schedule_of_snapshots_gets_one(restored):
    restored.hosts[N3].lines = [line for line in restored.hosts[N3].lines if "schedule " not in line]
    living = Living(restored)
    result = run_deploy(restored.hosts, restore)
    assert (result.refused, result.failed) == ("", set()), result.log
    assert living.happened("schedule") == [N3]
    assert living.happened("stop") == []

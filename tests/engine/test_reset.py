"""What is promised about `deploys/reset.py`, with pyinfra's real engine over pretended hosts."""

import re

import pytest

from etcd_steward.verbs import reset
from tests.engine.fakes import run_deploy
from tests.engine.living import ASIDE, Living

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
MODES = ["", "serial", "no_wait"]


def end(living, typed=None, mode="", **more):
    data = {"etcd_reset": typed or living.world.record.id}
    return run_deploy(living.hosts, reset, data=data, mode=mode, **more)


def record(world):
    return world.pki / "etcd" / "cluster.json"


@pytest.mark.parametrize("mode", MODES)
def test_f42_with_its_id_typed_in_a_cluster_is_ended_and_its_authorities_stay(world, mode):
    living = Living(world)
    result = end(living, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("aside")) == list(HOSTS)
    assert not record(world).exists()
    assert [path.name for path in record(world).parent.glob("cluster.*.json")] == [
        f"cluster.{world.record.id}.json"
    ]
    assert (record(world).parent / "ca-key.pem").exists()


def test_a_second_run_finds_nothing_and_looks_only(world):
    living = Living(world)
    end(living)
    again = end(living)
    assert (again.refused, again.failed) == ("", set())
    assert again.only_looked


@pytest.mark.parametrize("data", [{}, {"etcd_reset": "00000000000000ab"}])
@pytest.mark.parametrize("mode", ["", "dry"])
def test_f42_without_its_id_or_with_another_nothing_happens_and_the_right_one_is_not_told(world, data, mode):
    living = Living(world)
    result = run_deploy(living.hosts, reset, data=data, mode=mode)
    lines = result.refused.splitlines()
    assert lines[0] == "refused, no host was changed:"
    assert all(re.fullmatch(r"    .+: found .+, wanted .+; next: .+", line) for line in lines[1:])
    assert world.record.id not in result.refused + result.log
    assert result.only_looked
    assert living.events == []
    assert record(world).exists()


def test_one_host_with_traces_of_another_cluster_keeps_all_of_them_alone(world):
    living = Living(world)
    world.show(N2, "converged", cluster_id=0xAB)
    world.hosts[N3].lines = ["uid 1000" if line == "uid 0" else line for line in world.hosts[N3].lines]
    result = end(living)
    assert f"{N2}: found traces of a cluster with another id than etcd_reset" in result.refused
    assert f"{N3}: found a login without root's rights" in result.refused
    assert living.events == []


def test_a_host_within_reach_is_not_left_out(world):
    living = Living(world)
    result = end(living, limit=[N1, N2])
    assert f"{N3}: found a member within reach, but left out by --limit or --exclude" in result.refused
    assert living.events == []


@pytest.mark.parametrize("mode", MODES)
def test_after_a_failure_the_record_stays_and_the_next_run_finishes(world, mode):
    broken = [True]
    living = Living(
        world, lambda host, command: "before" if broken[0] and host == N2 and ASIDE in command else ""
    )
    assert N2 in end(living, mode=mode).failed
    assert record(world).exists()
    broken[0] = False
    result = end(living, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("aside")) == list(HOSTS)
    assert not record(world).exists()


def test_a_host_that_does_not_answer_keeps_the_record(world):
    world.hosts[N3].reachable = False
    world.hosts[N3].lines = []
    living = Living(world)
    result = end(living)
    assert result.failed == set(HOSTS)
    assert "found no answer from @fake/n3, wanted every host" in result.log
    assert record(world).exists()


def test_a_dry_run_shows_the_operations_of_the_run_and_changes_nothing(world):
    living = Living(world)
    dry = end(living, mode="dry")
    assert (dry.refused, dry.failed, dry.only_looked) == ("", set(), True)
    assert living.events == []
    assert record(world).exists()
    assert end(living).operations == dry.operations


def test_another_controller_does_not_take_silence_for_the_end(world):
    living = Living(world)
    record(world).unlink()
    for host in HOSTS:
        world.hosts[host].lines = world.hosts[host].lines[:-1]  # its answer is cut short
    result = run_deploy(living.hosts, reset, data={"etcd_reset": world.record.id})
    assert result.refused or result.failed == set(HOSTS)
    assert "found no answer from" in result.refused + result.log

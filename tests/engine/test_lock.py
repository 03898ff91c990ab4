"""What is promised about two runs at once, over pretended hosts."""

import time
from dataclasses import replace

import pytest
from pyinfra.api import deploy

from etcd_steward.locking import Owner, mark
from etcd_steward.verbs import etcd, remove
from tests.engine.common import HOSTS, N2, N3, SLOWER, all_commands, stops_when
from tests.engine.fakes import PROBE, World, run_deploy
from tests.engine.living import LOCK, STOP, WRITE, Living, value

# Between the prompt and the run.


class Shifting(list):
    """Answers a probe with the next of some answers, and with the last for ever."""

    def __iter__(self):
        return iter(self.pop(0) if len(self) > 1 else self[0])


@pytest.mark.parametrize("yes", [True, False])
def test_what_changed_until_the_lock_was_taken_stops_the_run(world, yes):
    world.hosts[N2].lines = Shifting([world.lines(N2), world.lines(N2, "stopped")])
    living = Living(world)
    result = run_deploy(living.hosts, etcd, yes=yes, data=SLOWER)
    assert f"found {N2} changed since the plan was made, wanted the same plan; next: run again" in result.log
    assert "etcd: planned: " in result.log
    assert living.events == []
    assert result.failed == set(HOSTS)


def test_a_run_that_changes_something_looks_takes_the_lock_and_looks_again_before_it_does_anything(world):
    commands = run_deploy(Living(world).hosts, etcd, data=SLOWER).commands[N2]
    assert [PROBE in commands[0], LOCK in commands[1], PROBE in commands[2]] == [True, True, True]
    assert not any(WRITE in command for command in commands[:3])


# The lock.


def test_only_a_run_that_changes_something_takes_the_lock(world):
    living = Living(world)
    assert not any(LOCK in command for command in all_commands(run_deploy(living.hosts, etcd)))
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    for commands in result.commands.values():
        assert sum(LOCK in command for command in commands) == 2
        assert LOCK in commands[-1]


def test_f42_a_cluster_that_somebody_else_changes_is_left_alone(world):
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        ["held 1234 boot 1 1 etcd 2026-01-01T00:00:00Z root@other"] if LOCK in command and host == N3 else ask(host, command)
    )  # fmt: skip
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    assert living.events == []
    assert result.failed == set(HOSTS)


def test_the_lock_is_given_back_after_a_failure(world):
    living = Living(world, stops_when(lambda _host, command: STOP in command))
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    assert all(
        LOCK in commands[-1] and "release=yes" in commands[-1] for commands in result.commands.values()
    )


def test_the_lock_is_given_back_on_hosts_outside_the_limit_too(world):
    result = run_deploy(Living(world).hosts, etcd, limit=[N2], data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    for commands in result.commands.values():
        taken, given = [command for command in commands if LOCK in command]
        assert ("release=yes" in taken, "release=yes" in given) == (False, True)


def test_f42_a_lock_that_cannot_be_read_is_broken_by_the_flag_that_its_refusal_names(world):
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        ["held "] if LOCK in command and host == N3 and not value(command, "replace") else ask(host, command)
    )
    assert "n3: somebody" in run_deploy(living.hosts, etcd, data=SLOWER).log
    world.hosts[N3].lines.insert(-1, "lock ")
    result = run_deploy(living.hosts, etcd, data={**SLOWER, "etcd_break_lock": True})
    assert (result.refused, result.failed) == ("", set())


def test_two_verbs_of_one_call_share_the_lock(world):
    living, holders = Living(world), {}

    def lock(host, command):
        token = value(command, "token")
        if value(command, "release"):
            return holders.pop(host, None) and []
        if holders.setdefault(host, token) == token:
            return ["taken"]
        return [f"held {holders[host]} boot 1 1 etcd 2026-01-01T00:00:00Z root@other"]

    living._answer = lambda host, command, ask=living._answer: (
        lock(host, command) if LOCK in command else ask(host, command)
    )
    both = deploy("both")(lambda: (etcd(), remove()))
    result = run_deploy(living.hosts, both, data={**SLOWER, "etcd_member": "n3"})
    assert (result.refused, result.failed) == ("", set())
    assert living.removed == {N3}
    assert holders == {}


# No process has so high a number.
DEAD_MARK = f"{mark().partition('-')[0]}-{2**22 + 1}-1"
DEAD = replace(Owner.me("etcd"), pid=2**22 + 1, started="1")


def locked_by(owner: Owner, world) -> Living:
    """Let every host tell that somebody holds its lock."""
    for host in world.hosts.values():
        host.lines.insert(1, f"lock {owner.token} {owner.line}")
    return Living(world)


@pytest.mark.parametrize("yes", [True, False])
def test_f42_the_lock_of_a_run_that_was_killed_after_its_last_change_is_given_back_by_the_next_one(
    world, yes
):
    result = run_deploy(locked_by(DEAD, world).hosts, etcd, yes=yes)
    assert not result.failed
    for commands in result.commands.values():
        (given,) = [command for command in commands if LOCK in command]
        assert "release=yes" in given
        assert DEAD.token in given


def test_the_lock_of_another_controller_stays_where_nothing_is_to_be_done_unless_it_is_to_be_broken(world):
    other = replace(DEAD, controller="11111111-2222-3333-4444-555555555555")
    hosts = locked_by(other, world).hosts
    result = run_deploy(hosts, etcd)
    assert not result.failed, "who has nothing to do needs no lock"
    assert not any(LOCK in command for command in all_commands(result))
    broken = all_commands(run_deploy(hosts, etcd, data={"etcd_break_lock": True}))
    assert sum(LOCK in command for command in broken) == len(hosts)


def test_a_copy_that_a_killed_run_has_left_is_removed_by_the_next_run_and_a_living_runs_one_is_not(world):
    dead, mine = (f"/var/tmp/etcd-steward.{one}.aB3dE6" for one in (DEAD_MARK, mark()))
    for path in (dead, mine):
        world.hosts[N2].lines.insert(1, f"left {int(time.time())} {path}")
    result = run_deploy(world.hosts, etcd)
    assert not result.failed
    removing = [command for command in all_commands(result) if "abandoned=" in command]
    # Once as root and once as the login: each removes only what is its own.
    assert len(removing) == 2
    assert all(dead in command and mine not in command for command in removing)


@pytest.mark.parametrize("option", ["--serial", "--no-wait"])
def test_nobody_joins_in_a_mode_in_which_the_others_are_judged_before(tmp_path, monkeypatch, option):
    monkeypatch.setattr("etcd_steward.cli_mode.one_by_one", lambda: option)
    world = World(tmp_path / "controller", ("n1", "n2", "n3", "n4"), etcd_allow_even=True)
    for host in HOSTS:
        world.show(host, "converged", listed=world.cluster.members[:3])
    world.show("@fake/n4", "empty")
    living = Living(world)
    result = run_deploy(living.hosts, etcd)
    assert (
        f"{option} while @fake/n4 is to join, wanted the others judged after it has joined" in result.refused
    )
    assert living.events == []

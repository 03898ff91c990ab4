"""What is promised about `deploys/remove.py`, with pyinfra's real engine over pretended hosts."""

import re

import pytest

from etcd_steward.verbs import remove
from tests.engine.fakes import World, run_deploy
from tests.engine.living import ASIDE, MEMBERS, Living, value

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
MODES = ["", "serial", "no_wait"]


def out(living, member, mode="", **more):
    return run_deploy(living.hosts, remove, data={"etcd_member": member}, mode=mode, **more)


def removals(result):
    return [
        command
        for commands in result.commands.values()
        for command in commands
        if MEMBERS in command and value(command, "action") == "remove"
    ]


@pytest.mark.parametrize("mode", MODES)
def test_f05_a_member_is_removed_by_its_id_and_then_stopped_with_its_data_aside(world, mode):
    living = Living(world)
    result = out(living, "n2", mode)
    assert (result.refused, result.failed) == ("", set())
    (asked,) = removals(result)
    assert value(asked, "id") == world.record.members["n2"].lstrip("0")
    assert [what for _, what in living.events] == ["remove", "stop", "aside"]
    assert living.happened("aside") == [N2]
    assert "voters 3 -> 2, quorum 2 -> 2, healthy 3 -> 2 when n2" in result.log
    assert "take @fake/n2 out of the inventory" in result.log


def test_a_second_run_finds_it_gone_and_looks_only(world):
    living = Living(world)
    out(living, "n2")
    again = out(living, "n2")
    assert (again.refused, again.failed) == ("", set())
    assert again.only_looked
    assert "n2 is already gone" in again.log


@pytest.mark.parametrize("mode", MODES)
def test_f19_a_leader_hands_over_before_it_leaves(world, mode):
    living = Living(world)
    result = out(living, "n1", mode)
    assert (result.refused, result.failed) == ("", set())
    assert [what for _, what in living.events] == ["move", "remove", "stop", "aside"]
    assert living.happened("remove") != [N1], "whoever leaves is not the one that is asked"


def test_a_host_that_is_gone_is_removed_by_way_of_another(world):
    world.hosts[N3].reachable = False
    world.hosts[N3].lines = []
    living = Living(world)
    result = out(living, "n3", limit=[N1, N2])
    assert (result.refused, result.failed - {N3}) == ("", set())
    assert [what for _, what in living.events] == ["remove"]
    assert "before it comes back, stop and disable its etcd there" in result.log


def test_without_a_name_and_with_a_part_of_one_nothing_happens(world):
    living = Living(world)
    for data in ({}, {"etcd_member": "n"}, {"etcd_member": "https://198.18.99.1"}):
        result = run_deploy(living.hosts, remove, data=data)
        assert result.refused.startswith("refused, no host was changed:\n")
        assert result.only_looked
    assert living.events == []


def test_all_reasons_against_it_are_told_at_once(world):
    world.show(N3, "stopped")
    living = Living(world)
    result = out(living, "n2", limit=[N1, N3])
    lines = result.refused.splitlines()
    assert lines[0] == "refused, no host was changed:"
    assert all(re.fullmatch(r"    \S+: found .+, wanted .+; next: .+", line) for line in lines[1:])
    assert "other voters down (voters 3 -> 2, quorum 2 -> 2, healthy 2 -> 1)" in result.refused
    assert "left out by --limit or --exclude" in result.refused
    assert living.events == []


def test_one_of_two_leaves_with_consent_only(tmp_path):
    world = World(tmp_path, ("n1", "n2"), etcd_allow_even=True)
    living = Living(world)
    assert "found 2 voters, of which one would be left" in out(living, "n2").refused
    assert living.events == []
    result = run_deploy(living.hosts, remove, data={"etcd_member": "n2", "etcd_allow_outage": True})
    assert (result.refused, result.failed) == ("", set())
    assert [what for _, what in living.events] == ["remove", "stop", "aside"]


@pytest.mark.parametrize("mode", MODES)
def test_where_etcd_refuses_nothing_is_stopped_and_nothing_moved(world, mode):
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        ["refused etcdserver: too many requests"]
        if MEMBERS in command and value(command, "action") == "remove"
        else ask(host, command)
    )
    result = out(living, "n2", mode)
    assert living.events == []
    assert result.failed
    assert "found that etcd does not remove n2" in result.log


def test_a_voter_that_goes_down_after_the_plan_was_made_keeps_the_member_in(world):
    living = Living(world)
    living._status_of = lambda url, ask=living._status_of: (
        f"down {url} no route to host" if url == world.cluster.member(N3).client_url else ask(url)
    )
    result = out(living, "n2")
    assert living.events == []
    assert "found other voters down (" in result.log


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_run_that_broke_while_moving_aside_is_finished_by_the_next(world, how):
    broken = [True]
    living = Living(world, lambda _host, command: how if broken[0] and ASIDE in command else "")
    assert N2 in out(living, "n2").failed
    broken[0] = False
    result = out(living, "n2")
    assert (result.refused, result.failed) == ("", set())
    assert living.happened("remove") != []
    assert living.happened("aside") == [N2]


def test_a_dry_run_shows_the_operations_of_the_run_and_changes_nothing(world):
    living = Living(world)
    dry = out(living, "n2", "dry")
    assert (dry.refused, dry.failed, dry.only_looked) == ("", set(), True)
    assert living.events == []
    assert out(living, "n2").operations == dry.operations


def test_where_no_host_of_the_limit_answered_nothing_counts_as_removed(world):
    world.hosts[N1].lines = world.hosts[N1].lines[:-1]  # its answer is cut short
    world.hosts[N3].reachable = False
    living = Living(world)
    result = out(living, "n3", limit=[N1])
    assert "etcd: found no host of --limit that answered, wanted one to work through" in result.refused
    assert living.events == []

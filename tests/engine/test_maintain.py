"""What is promised about `deploys/maintain.py`, with pyinfra's real engine over pretended hosts."""

import itertools
import re

import pytest

from etcd_steward.verbs import maintain
from tests.engine.fakes import World, run_deploy
from tests.engine.living import ALARMS, COMPACT, DEFRAGMENT, DISARM, MOVE, SERVING, Living, value

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
MODES = ["", "serial", "no_wait"]
# The rule as low as it goes: a fifth of each pretended database is unused.
EAGER = {"etcd_maintain_quota_fraction": 0, "etcd_maintain_fragmentation": 0.1}


@pytest.fixture
def full(world):
    """Give a cluster under the alarm NOSPACE."""
    for host in HOSTS:
        world.show(host, "converged", alarms=("NOSPACE",))
    living = Living(world)
    living.alarms = ("NOSPACE",)
    return living


def care(living, mode="", **more):
    return run_deploy(living.hosts, maintain, data=more.pop("data", EAGER), mode=mode, **more)


@pytest.mark.parametrize("mode", MODES)
def test_where_nothing_is_due_nothing_is_done(world, mode):
    living = Living(world)
    result = care(living, mode, data={})
    assert (result.refused, result.failed, result.only_looked) == ("", set(), True)
    assert "n1: 0.0 MiB, 0% of its quota, 20% unused" in result.log


@pytest.mark.parametrize("mode", MODES)
def test_f19_members_are_defragmented_one_by_one_the_leader_last_and_after_it_has_handed_over(world, mode):
    living = Living(world)
    result = care(living, mode)
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("defragment")) == list(HOSTS)
    before_the_leader = [what for host, what in living.events[: living.events.index((N1, "defragment"))]]
    assert before_the_leader[-1] == "move"
    if mode == "":
        assert living.happened("defragment") == [N2, N3, N1]
        assert "leadership moved to n2" in result.log


def test_a_second_run_finds_nothing_due(world):
    living = Living(world)
    care(living)
    again = care(living)
    assert (again.refused, again.failed, again.only_looked) == ("", set(), True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["before", "after"])
def test_after_one_failed_turn_no_other_member_is_touched(world, mode, how):
    attempts = []

    def fails(host, command):
        if DEFRAGMENT not in command:
            return ""
        attempts.append(host)
        return how

    result = care(Living(world, fails), mode)
    assert len(attempts) == 1
    assert result.failed == set(HOSTS)
    assert f"left untouched, because {attempts[0]} failed in this run" in result.log


@pytest.mark.parametrize("mode", MODES)
def test_a_turn_needs_all_members_serving(world, mode):
    living = Living(world)
    living._status_of = lambda url, ask=living._status_of: (
        f"down {url} no route to host" if url == world.cluster.member(N3).client_url else ask(url)
    )
    result = care(living, mode)
    assert living.happened("defragment") == []
    assert result.failed == set(HOSTS)
    # Under --serial and --no-wait the first turn may be n3's own.
    wanted = "found n3 not serving" if mode else "found n3 not serving, wanted all members serving"
    assert wanted in result.log


STRANGER = "https://198.18.99.99:2379"


def beside_a_stranger(tmp_path, client_urls):
    """Give two members of three: the third voter is not in the inventory."""
    world = World(tmp_path, names=("n1", "n2"), etcd_allow_even=True)
    voter = {"ID": 77, "name": "old", "peerURLs": ["https://198.18.99.99:2380"], "clientURLs": client_urls}
    for host in world.hosts:
        world.show(host, "converged", strangers=(voter,))
    living = Living(world)
    living._show = lambda: None
    return living


def test_no_member_is_defragmented_while_a_voter_that_the_inventory_does_not_know_is_down(tmp_path):
    living = beside_a_stranger(tmp_path, [STRANGER])
    result = care(living)
    assert living.happened("defragment") == []
    assert result.failed == {N1, N2}
    assert re.search(r"found old\b.* not serving, wanted all members serving", result.log)


def test_a_voter_that_serves_counts_for_the_quorum_though_the_inventory_does_not_know_it(tmp_path):
    living = beside_a_stranger(tmp_path, [STRANGER])
    living._status_of = lambda url, ask=living._status_of: (
        living._status(N2).replace("status ", f"status {url} ", 1) if url == STRANGER else ask(url)
    )
    result = care(living)
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("defragment")) == [N1, N2]


def test_each_turn_tells_its_arithmetic_and_whether_anybody_can_write_meanwhile(world, tmp_path):
    result = care(Living(world))
    for name in ("n1", "n2", "n3"):
        assert f"voters 3, quorum 2, healthy 3 -> 2 while {name} is defragmented" in result.log
    assert "nobody can write meanwhile" not in result.log
    two = World(tmp_path / "two", names=("n1", "n2"), etcd_allow_even=True, etcd_allow_outage=True)
    result = care(Living(two))
    assert (result.refused, result.failed) == ("", set())
    for name in ("n1", "n2"):
        told = f"voters 2, quorum 2, healthy 2 -> 1 while {name} is defragmented: nobody can write meanwhile"
        assert told in result.log


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("data", [{}, {"etcd_compact": True, "etcd_compact_keep": 0}], ids=["", "compact"])
def test_a_member_whose_size_is_not_told_fails_and_is_not_taken_for_a_small_one(world, mode, data):
    living = Living(world)

    def answer(host, command, ask=living._answer):
        alone = SERVING in command and len(value(command, "endpoints").split()) == 1
        asked.extend([int(value(command, "seconds"))] if alone else [])
        return [] if alone else ask(host, command)

    asked = []
    living._answer = answer
    result = care(living, mode, data={**EAGER, **data})
    assert result.failed == set(HOSTS)
    assert living.happened("defragment") == []
    assert "not serving, so that the size of its database is unknown, wanted its answer" in result.log
    assert min(asked) >= 5, "it is given some seconds"


@pytest.mark.parametrize("mode", MODES)
def test_a_member_that_does_not_serve_again_stops_the_others(world, monkeypatch, mode):
    class Clock:
        monotonic = itertools.count(step=10).__next__

    monkeypatch.setattr("etcd_steward.operations.maintenance.time", Clock)
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        [] if SERVING in command and value(command, "seconds") == "5" else ask(host, command)
    )
    result = care(living, mode)
    assert len(living.happened("defragment")) == 1
    assert result.failed == set(HOSTS)
    assert "not serving after 90 s (no answer), wanted it back" in result.log


@pytest.mark.parametrize("mode", MODES)
def test_f36_the_alarm_nospace_is_ended_last_after_one_compaction_and_every_turn(full, mode):
    result = care(full, mode, data={"etcd_compact_keep": 0})
    assert (result.refused, result.failed) == ("", set())
    whats = [what for _, what in full.events if what != "move"]
    assert whats == ["compact", "defragment", "defragment", "defragment", "disarm"]
    assert "the alarm NOSPACE is raised: nothing can be written until it is ended" in result.log


def test_whatever_changes_the_cluster_waits_first_for_a_command_of_a_run_that_was_killed(full):
    result = care(full, data={"etcd_compact_keep": 0})
    given = [command for commands in result.commands.values() for command in commands]
    for change in (COMPACT, DEFRAGMENT, MOVE, DISARM):
        changing = [command for command in given if change in command]
        assert changing, change
        for command in changing:
            assert command.count("flock -n 9") == 1, change
            assert command.index("flock -n 9") < command.index(change)


@pytest.mark.parametrize("broken", [COMPACT, DEFRAGMENT])
def test_f36_the_alarm_stays_where_anything_failed(full, broken):
    full.fails = lambda host, command: "before" if broken in command else ""
    result = care(full, data={"etcd_compact_keep": 0})
    assert result.failed
    assert full.happened("disarm") == []
    assert full.alarms == ("NOSPACE",)


def test_f28_all_reasons_against_it_are_told_at_once(tmp_path):
    world = World(tmp_path, etcd_version="3.5.16")
    world.hosts[N2].lines = [
        "free 10240 /" if line.startswith("free ") else line for line in world.hosts[N2].lines
    ]
    living = Living(world)
    result = care(living)
    lines = result.refused.splitlines()
    assert lines[0] == "refused, no host was changed:"
    assert all(re.fullmatch(r"    \S+: found .+, wanted .+; next: .+", line) for line in lines[1:])
    assert result.refused.count("etcd#20650") == 3
    assert f"{N2}: found 10 MB free on /, wanted 64 MB for a second database" in result.refused
    assert result.only_looked
    assert living.events == []


def test_the_alarm_corrupt_is_never_ended(world):
    for host in HOSTS:
        world.show(host, "converged", alarms=("CORRUPT", "NOSPACE"))
    living = Living(world)
    result = care(living)
    assert "found the alarm CORRUPT" in result.refused
    assert result.only_looked


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("alarm", "after", "advice"),
    [
        ("CORRUPT", 1, "it is never disarmed here"),
        ("NOSPACE", 1, "run again, which ends it"),
        ("CORRUPT", 3, "it is never disarmed here"),
    ],
    ids=["corrupt after the first", "nospace after the first", "corrupt after the last"],
)
def test_an_alarm_that_comes_up_during_the_run_stops_it_and_fails_it(world, mode, alarm, after, advice):
    turns = []

    def comes_up(host, command):
        if DEFRAGMENT in command:
            turns.append(host)
            living.alarms = (alarm,) if len(turns) == after else ()
        return ""

    living = Living(world, comes_up)
    result = care(living, mode)
    assert len(turns) == after
    # Where pyinfra does not wait for all, the host that has had its turn may be done before the alarm is seen.
    assert result.failed if mode else result.failed == set(HOSTS)
    assert f"found the alarm {alarm} raised during the run, wanted none; next: {advice}" in result.log
    assert living.happened("disarm") == []


def test_under_nospace_another_alarm_stops_the_turns_and_the_alarm_stays(full):
    def comes_up(_host, command):
        if DEFRAGMENT in command:
            full.alarms = ("NOSPACE", "CORRUPT")
        return ""

    full.fails = comes_up
    result = care(full, data={"etcd_compact_keep": 0})
    assert len(full.happened("defragment")) == 1
    assert full.happened("disarm") == []
    assert result.failed == set(HOSTS)
    assert "found the alarm CORRUPT raised during the run" in result.log


@pytest.mark.parametrize(
    ("said", "reason"),
    [([], "no answer"), (["refused context deadline exceeded"], "context deadline exceeded")],
)
def test_an_unanswered_question_for_alarms_is_no_proof_that_there_is_none(world, said, reason):
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        said if ALARMS in command else ask(host, command)
    )
    result = care(living)
    assert living.happened("defragment") == []
    assert result.failed == set(HOSTS)
    assert f"found no list of the alarms that are raised ({reason}), wanted none raised" in result.log


def test_under_a_limit_only_the_named_are_defragmented(world):
    living = Living(world)
    result = care(living, limit=[N2])
    assert (result.refused, result.failed) == ("", set())
    assert living.happened("defragment") == [N2]


def test_a_dry_run_shows_the_operations_of_the_run_and_changes_nothing(full):
    dry = care(full, "dry", data={"etcd_compact_keep": 0})
    assert (dry.refused, dry.failed, dry.only_looked) == ("", set(), True)
    assert full.events == []
    assert care(full, data={"etcd_compact_keep": 0}).operations == dry.operations

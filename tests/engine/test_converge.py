"""What is promised about `deploys/etcd.py`, with pyinfra's real engine over pretended hosts."""

import itertools
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from etcd_steward import releases
from etcd_steward.locking import Owner, mark
from etcd_steward.record import read_controller_record
from etcd_steward.verbs import etcd
from tests.engine.fakes import PROBE, World, run_deploy
from tests.engine.living import AWAIT, LOCK, OTHERS, PEERS, START, STOP, WRITE, Living, value

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
MODES = ["", "serial", "no_wait"]
# Something that every member has to be restarted for.
SLOWER = {"etcd_config": {"heartbeat-interval": 200, "election-timeout": 2000}}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Make hosts on which nothing is installed, and an archive to install."""
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(archive, "0" * 64))
    return World(tmp_path / "controller", formed=False)


@pytest.fixture
def hurried(monkeypatch):
    """Let every look at the clock take ten seconds, so that waiting ends at once."""

    class Clock:
        monotonic = itertools.count(step=10).__next__

    monkeypatch.setattr("etcd_steward.talk.time", Clock)


def counts(result):
    return {host: len(commands) for host, commands in result.commands.items()}


def all_commands(result):
    return [command for commands in result.commands.values() for command in commands]


def only_looked(result):
    return all(PROBE in command for command in all_commands(result)) and not any(result.stdin.values())


def everything_below(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def stops_when(condition, how="before"):
    return lambda host, command: how if condition(host, command) else ""


# A cluster that is as it should be.


@pytest.mark.parametrize("mode", MODES)
def test_f01_a_converged_cluster_costs_one_command_a_host_and_nothing_is_changed(world, tmp_path, mode):
    before = everything_below(tmp_path)
    result = run_deploy(world.hosts, etcd, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    assert only_looked(result)
    assert everything_below(tmp_path) == before


def test_with_the_prompt_a_converged_cluster_is_looked_at_twice(world):
    result = run_deploy(world.hosts, etcd, yes=False)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 2)
    assert only_looked(result)


def test_a_dry_run_of_a_converged_cluster_costs_one_command_a_host(world):
    result = run_deploy(world.hosts, etcd, mode="dry")
    assert result.refused == ""
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    assert only_looked(result)


def test_under_a_limit_all_members_are_read_and_only_the_named_are_changed(world):
    living = Living(world)
    result = run_deploy(living.hosts, etcd, limit=[N2])
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    result = run_deploy(living.hosts, etcd, limit=[N2], data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    assert {host for host, _ in living.events} == {N2}


def test_a_reordered_inventory_changes_nothing(world):
    result = run_deploy(dict(reversed(world.hosts.items())), etcd)
    assert (result.refused, result.failed) == ("", set())
    assert only_looked(result)


def test_a_systemd_cluster_is_converged_by_the_same_commands(tmp_path):
    result = run_deploy(World(tmp_path, init="systemd").hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)


def test_hosts_of_other_groups_are_not_asked(world):
    stranger = World(world.pki.parent / "other", ("web",), etcd_inventory_group="web").hosts["@fake/web"]
    stranger.data = {"fake_delay": 0, "fake_delay_jitter": 0}
    result = run_deploy({**world.hosts, stranger.name: stranger}, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result)["@fake/web"] == 0


# A cluster that is made.


def test_empty_hosts_become_a_cluster_and_a_second_run_changes_nothing(fresh):
    living = Living(fresh)
    result = run_deploy(living.hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("start")) == list(HOSTS)
    assert living.happened("stop") == []
    assert not read_controller_record(fresh.pki / "etcd").open
    again = run_deploy(living.hosts, etcd)
    assert (again.refused, again.failed) == ("", set())
    assert only_looked(again)


def test_a_dry_run_makes_nothing_on_the_controller_and_shows_the_operations_of_the_run(fresh):
    living = Living(fresh)
    dry = run_deploy(living.hosts, etcd, mode="dry")
    assert (dry.refused, dry.failed) == ("", set())
    assert counts(dry) == dict.fromkeys(HOSTS, 1)
    assert only_looked(dry)
    assert not fresh.pki.exists()
    assert run_deploy(living.hosts, etcd).operations == dry.operations


def test_a_dry_run_of_turns_shows_the_operations_of_the_run(world):
    living = Living(world)
    dry = run_deploy(living.hosts, etcd, mode="dry", data=SLOWER)
    assert (only_looked(dry), living.events) == (True, [])
    assert run_deploy(living.hosts, etcd, data=SLOWER).operations == dry.operations
    assert [name for name in dry.operations if "Turn of" in name] == [
        "etcd | Turn of n2",
        "etcd | Turn of n3",
        "etcd | Turn of n1",
    ]


def test_keys_travel_over_standard_input_only_each_to_its_own_host_and_never_the_authorities(
    fresh, caplog, capsys
):
    result = run_deploy(Living(fresh).hosts, etcd, yes=False, debug=True)
    assert (result.refused, result.failed) == ("", set())
    keys = {host: re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.+?)-----END", "".join(told), re.DOTALL) for host, told in result.stdin.items()}  # fmt: skip
    own = [(fresh.pki / "etcd" / name).read_text() for name in ("ca-key.pem", "peer-ca-key.pem")]
    own = ["".join(text.splitlines()[1:-1]) for text in own]
    flat = {host: ["".join(key.split()) for key in found] for host, found in keys.items()}
    assert {host: len(found) for host, found in flat.items()} == dict.fromkeys(HOSTS, 4)
    assert len({key for found in flat.values() for key in found}) == 12
    shown = "".join([*all_commands(result), result.log, result.stdout, caplog.text, *capsys.readouterr()])
    assert "PRIVATE" not in shown
    for key in [key for found in flat.values() for key in found]:
        assert not any(piece in shown for piece in pieces(key))
    everything_sent = "".join("".join(told) for told in result.stdin.values()).replace("\n", "")
    for key in own:
        assert not any(piece in everything_sent + shown for piece in pieces(key))


def pieces(key, length=40):
    """Give the runs of a key's base64 that are its secret: all such keys begin alike, and end with the public half."""
    return [key[start : start + length] for start in range(46, 52)]


def test_a_cluster_is_made_with_a_token_of_its_own(tmp_path, fresh):
    run_deploy(Living(fresh).hosts, etcd)
    first = read_controller_record(fresh.pki / "etcd")
    other = World(tmp_path / "second", formed=False)
    run_deploy(Living(other).hosts, etcd)
    second = read_controller_record(other.pki / "etcd")
    assert first.token != second.token
    assert first.id != second.id


@pytest.mark.parametrize("option", ["--serial", "--no-wait"])
def test_a_cluster_is_not_made_host_by_host(fresh, monkeypatch, option):
    monkeypatch.setattr("etcd_steward.cli_mode.pyinfra", SimpleNamespace(is_cli=True))
    monkeypatch.setattr("sys.argv", ["pyinfra", option, "inventory.py", "deploys/etcd.py"])
    result = run_deploy(fresh.hosts, etcd)
    assert (
        f"etcd: found {option}, wanted all members started together, to make a cluster; next: run without"
        in result.refused
    )
    assert only_looked(result)


def test_a_cluster_is_not_made_of_some_of_its_hosts(fresh):
    result = run_deploy(fresh.hosts, etcd, limit=[N1, N2])
    assert "etcd: found --limit or --exclude, wanted all hosts, to make a cluster" in result.refused
    assert only_looked(result)
    assert not fresh.pki.exists()


def test_a_failure_on_one_host_before_the_start_starts_nobody(fresh):
    living = Living(fresh, stops_when(lambda host, command: host == N2 and "tar -xzf" in command))
    result = run_deploy(living.hosts, etcd)
    assert N2 in result.failed
    assert living.happened("start") == []


POINTS = {
    "account": lambda command: "addgroup" in command,
    "staging": lambda command: "/.staging && chmod" in command,
    "unpacking": lambda command: "tar -xzf" in command,
    "starting": lambda command: START in command,
    "waiting": lambda command: AWAIT in command,
    "trying the peers": lambda command: PEERS in command,
    "closing": lambda command: WRITE in command and START not in command,
}


@pytest.mark.parametrize(
    ("point", "how"),
    [
        *((point, "before") for point in POINTS),
        ("unpacking", "after"),
        ("starting", "after"),
        ("closing", "after"),
    ],
)
def test_f43_a_bootstrap_that_was_interrupted_is_finished_by_the_next_run(fresh, hurried, point, how):
    broken = [True]
    living = Living(
        fresh, stops_when(lambda host, command: broken[0] and host == N2 and POINTS[point](command), how)
    )
    first = run_deploy(living.hosts, etcd)
    assert N2 in first.failed, first.log
    token = getattr(read_controller_record(fresh.pki / "etcd"), "token", None)
    broken[0] = False
    second = run_deploy(living.hosts, etcd)
    assert (second.refused, second.failed) == ("", set()), second.log[-2000:]
    record = read_controller_record(fresh.pki / "etcd")
    assert not record.open
    assert token in {None, record.token}


# What is refused.


def unreachable(world):
    world.hosts[N3].reachable = False


def cut_short(world):
    world.hosts[N3].lines = world.hosts[N3].lines[:-1]


def silent_probe(world):
    world.hosts[N3].lines = []


@pytest.mark.parametrize("away", [unreachable, cut_short, silent_probe])
def test_a_host_that_does_not_answer_is_never_an_empty_one(fresh, away):
    away(fresh)
    result = run_deploy(fresh.hosts, etcd)
    assert (
        f"{N3}: found no answer, wanted an answer, as an unknown host is never taken for an empty one"
        in result.refused
    )
    assert only_looked(result)
    assert not fresh.pki.exists()


def half(world):
    world.show(N2, "half")


def clone(world):
    world.hosts[N2].lines = [
        next(one for one in world.hosts[N1].lines if one.startswith("data wal ")) if line.startswith("data wal ") else line
        for line in world.hosts[N2].lines
    ]  # fmt: skip


def lost_disk(world, host=N2):
    world.hosts[host].lines = [line for line in world.lines(host, "stopped") if not line.startswith("data ")]


def no_rights(world):
    world.hosts[N2].lines = ["uid 1000" if line == "uid 0" else line for line in world.hosts[N2].lines]


def another_etcd(world):
    world.hosts[N2].lines.insert(-1, "process 99 /usr/bin/etcd --config-file=/etc/other.yml")


def another_machine(world):
    world.hosts[N2].lines = [
        "machine mips64" if line.startswith("machine") else line for line in world.hosts[N2].lines
    ]


def another_cluster(world):
    world.show(N2, "converged", cluster_id=0xABC)


def other_authority(world):
    for path in (world.pki / "etcd").glob("*ca*"):
        path.rename(path.with_name(f"away-{path.name}"))
    missing = world.cluster.member(N2).settings.certificate_path("health", "n2")
    world.hosts[N2].lines = [line for line in world.hosts[N2].lines if missing not in line]


@pytest.mark.parametrize(
    "damage",
    [half, clone, lost_disk, no_rights, another_etcd, another_machine, another_cluster, other_authority],
)
@pytest.mark.parametrize("mode", ["", "dry"])
def test_a_refused_run_looks_and_does_nothing_else(world, tmp_path, damage, mode):
    damage(world)
    before = everything_below(tmp_path)
    result = run_deploy(Living(world).hosts, etcd, mode=mode, data=SLOWER)
    assert result.refused.startswith("refused, no host was changed:\n")
    for line in result.refused.splitlines()[1:]:
        assert re.fullmatch(r"    \S+: found .+, wanted .+; next: .+", line)
    assert only_looked(result)
    assert not any(result.uploads.values())
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "abc"}'])
def test_a_record_on_the_controller_that_cannot_be_read_is_not_the_same_as_none(fresh, text):
    path = fresh.pki / "etcd" / "cluster.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    result = run_deploy(fresh.hosts, etcd)
    assert (
        f"the controller: found {path}, which cannot be read (it is not ours), wanted the cluster's record"
        in result.refused
    )
    assert only_looked(result)
    assert path.read_text() == text


def test_the_refusals_of_all_hosts_are_told_at_once(world):
    half(world)
    world.show(N3, "half")
    refused = run_deploy(world.hosts, etcd).refused
    assert N2 in refused
    assert N3 in refused


def test_a_change_is_refused_while_a_member_is_out_of_reach_and_says_what_has_to_be_done(world):
    unreachable(world)
    result = run_deploy(world.hosts, etcd, data=SLOWER)
    assert f"{N3}: found no answer (" in result.refused
    assert "wanted every member within reach before anything is changed" in result.refused
    assert only_looked(result)


@pytest.mark.parametrize("away", [unreachable, cut_short, silent_probe])
def test_a_converged_cluster_with_a_member_out_of_reach_is_not_as_promised(world, away):
    away(world)
    result = run_deploy(world.hosts, etcd)
    assert result.failed == set(HOSTS)
    assert only_looked(result)


# One member at a time.


def test_f18_f19_members_are_restarted_one_by_one_the_leader_last_and_after_it_has_handed_over(world):
    living = Living(world)
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    assert living.happened("stop") == [N2, N3, N1]
    assert [what for _, what in living.events] == [
        *("stop", "write", "start"),
        *("stop", "write", "start"),
        *("move", "stop", "write", "start"),
    ]
    assert "voters 3, quorum 2, healthy 3 -> 2 while n1 restarts" in result.log
    assert "leadership moved to n2" in result.log


def test_a_member_that_is_down_has_its_turn_first(world):
    world.show(N3, "stopped")
    living = Living(world)
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    assert living.happened("start") == [N3, N2, N1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["before", "after"])
def test_after_one_failed_turn_no_other_member_is_touched(world, mode, how):
    attempts = []

    def fails(host, command):
        if STOP in command:
            attempts.append(host)
            return how
        return ""

    result = run_deploy(Living(world, fails).hosts, etcd, data=SLOWER, mode=mode)
    assert len(attempts) == 1
    assert result.failed == set(HOSTS)
    assert f"left untouched, because {attempts[0]} failed in this run" in result.log


@pytest.mark.parametrize("mode", MODES)
def test_a_member_that_does_not_come_back_stops_the_roll(world, hurried, mode):
    living = Living(world)

    def fails(_host, command):
        if START in command:
            living.running.clear()
        return ""

    living.fails = fails
    living._answer = lambda host, command, ask=living._answer: (
        ["waiting connection refused"] if AWAIT in command else ask(host, command)
    )
    result = run_deploy(living.hosts, etcd, data=SLOWER, mode=mode)
    assert len(living.happened("stop")) == 1
    assert result.failed == set(HOSTS)
    assert "not healthy after 90 s (connection refused), wanted it healthy" in result.log


@pytest.mark.parametrize("mode", MODES)
def test_a_turn_needs_all_other_voters_healthy(world, mode):
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        [f"down {world.cluster.member(N3).client_url} no route to host"]
        if OTHERS in command
        else ask(host, command)
    )
    result = run_deploy(living.hosts, etcd, data=SLOWER, mode=mode)
    assert living.events == []
    assert result.failed == set(HOSTS)
    assert "found other voters down (" in result.log


def test_a_failure_before_the_turns_gives_nobody_a_turn(world):
    world.hosts[N3].lines = [line for line in world.hosts[N3].lines if not line.startswith("account ")]
    living = Living(world, stops_when(lambda _host, command: "addgroup" in command))
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    assert living.happened("stop") == []
    assert N3 in result.failed


def test_a_rerun_after_a_failed_turn_finishes_the_work(world):
    broken = [True]
    living = Living(
        world, stops_when(lambda host, command: broken[0] and host == N3 and STOP in command, "after")
    )
    assert run_deploy(living.hosts, etcd, data=SLOWER).failed
    broken[0] = False
    result = run_deploy(living.hosts, etcd, data=SLOWER)
    assert (result.refused, result.failed) == ("", set())


def test_a_certificate_is_made_anew_in_the_members_turn_without_a_restart(world):
    missing = world.cluster.member(N2).settings.certificate_path("peer", "n2")
    world.hosts[N2].lines = [line for line in world.hosts[N2].lines if missing not in line]
    living = Living(world)
    result = run_deploy(living.hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert living.events == [(N2, "write")]
    assert "PRIVATE KEY" in "".join(result.stdin[N2])


def test_two_members_are_not_restarted_without_consent(tmp_path):
    world = World(tmp_path, ("n1", "n2"), etcd_allow_even=True)
    result = run_deploy(Living(world).hosts, etcd, data=SLOWER)
    assert (
        "found 2 voters, so that a restart loses the quorum, wanted consent, or at least 3 voters"
        in result.refused
    )
    living = Living(world)
    result = run_deploy(living.hosts, etcd, data={**SLOWER, "etcd_allow_outage": True})
    assert (result.refused, result.failed) == ("", set())
    assert living.happened("stop") == [N2, N1]


def test_f36_a_raised_quota_is_delivered_under_the_alarm_nospace_and_the_way_leads_to_maintain(world):
    living = Living(world)
    living.alarms = ("NOSPACE",)
    for host in HOSTS:
        world.show(host, "converged", alarms=living.alarms)
    raised = {"etcd_config": {"quota-backend-bytes": 8 * 2**30}}
    result = run_deploy(living.hosts, etcd, data=raised)
    assert living.happened("stop") == [N2, N3, N1]
    # The alarm is still raised, so this is not the promise.
    assert result.failed == set(HOSTS)
    assert "found the alarm NOSPACE, wanted none; next: run deploys/maintain.py" in result.log


def test_a_member_that_lost_its_data_while_all_were_down_is_to_be_replaced_and_not_run_again(world):
    for host in (N1, N2):
        world.show(host, "stopped")
    lost_disk(world, N3)
    living = Living(world)
    result = run_deploy(living.hosts, etcd)
    assert sorted(living.happened("start")) == [N1, N2]
    assert N3 in result.failed
    (told,) = [line for line in result.log.splitlines() if "though the cluster knows this member" in line]
    assert "run with --data etcd_replace=n3" in told
    assert "next: run deploys/etcd.py" not in result.log


# A member at another address than the cluster lists.

OLD = "https://198.18.99.99"


@pytest.fixture
def moved(world):
    """Let n3 be listed at another address, and be stopped here."""
    place = f"https://{world.cluster.member(N3).address}"
    world.show(N3, "stopped")
    for host in (N1, N2):
        world.hosts[host].lines = [
            line.replace(f'"{place}:', f'"{OLD}:') if line.startswith("etcd members") else line
            for line in world.hosts[host].lines
        ]
    return Living(world)


@pytest.mark.parametrize("original", ["alive", "unhealthy", "gone"])
def test_f10_f49_a_member_is_moved_only_where_its_original_is_gone(moved, original):
    told = {
        "alive": moved._status(N3).replace("status ", f"status {OLD}:2379 ", 1),
        "gone": f"down {OLD}:2379 no route to host",
    }
    told["unhealthy"] = f"down {OLD}:2379 context deadline exceeded"
    moved._status_of = lambda url, ask=moved._status_of: told[original] if url == f"{OLD}:2379" else ask(url)
    # One that is cut off from the others is not healthy, but tells its status.
    moved._answer = lambda host, command, ask=moved._answer: (
        [told["alive" if original == "unhealthy" else original]]
        if OTHERS in command and value(command, "unwell")
        else ask(host, command)
    )
    result = run_deploy(moved.hosts, etcd)
    if original != "gone":
        assert moved.events == []
        assert f"alive at {OLD}:2379, and its data on this host too, wanted one of them" in result.log
        assert N3 in result.failed
    else:
        assert moved.events[:2] == [(N1, "update"), (N3, "write")]
        assert result.failed == set()


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
    (removed,) = [command for command in all_commands(result) if "rm -rf /var/tmp" in command]
    assert dead in removed
    assert mine not in removed


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

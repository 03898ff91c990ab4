"""What is promised about members that `deploys/etcd.py` changes one at a time, over pretended hosts."""

import pytest

from etcd_steward import releases
from etcd_steward.commands import MAY_START_EMPTY
from etcd_steward.verbs import etcd
from tests.engine.common import HOSTS, MODES, N1, N2, N3, SLOWER, lost_disk, stops_when
from tests.engine.fakes import World, run_deploy
from tests.engine.living import AWAIT, OTHERS, START, STOP, Living, value


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Let an archive be there to install."""
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(path, "0" * 64))


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


def test_a_member_that_does_not_serve_is_not_counted_before_its_own_restart(world):
    world.show(N3, "unhealthy")
    result = run_deploy(Living(world).hosts, etcd, data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    assert "healthy 2 -> 2 while n3 restarts" in result.log
    assert "healthy 3 -> 2 while n1 restarts" in result.log


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


# What a turn costs.


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("n1",), "voters 1, quorum 1, healthy 1 -> 0 while n1 restarts"),
        (("n1", "n2"), "voters 2, quorum 2, healthy 2 -> 1 while n2 restarts"),
    ],
)
def test_f18_an_outage_that_was_consented_to_is_told_with_its_length(tmp_path, names, told):
    living = Living(World(tmp_path, names, etcd_allow_even=True))
    result = run_deploy(living.hosts, etcd, data={**SLOWER, "etcd_allow_outage": True})
    assert (result.refused, result.failed) == ("", set())
    assert f"{told}: nobody can write until it is back" in result.log


def test_f10_moving_a_member_whose_restart_loses_the_quorum_needs_consent(tmp_path):
    world = World(tmp_path, ("n1", "n2"), etcd_allow_even=True)
    living = Living(world)
    world.hosts[N1].data["etcd_address"] = "198.18.99.77"
    result = run_deploy(living.hosts, etcd)
    assert "found 2 voters, so that a restart loses the quorum" in result.refused
    assert living.events == []


def test_f10_a_leader_that_moves_hands_over_before_it_is_stopped(world):
    living = Living(world)
    world.hosts[N1].data["etcd_address"] = "198.18.99.77"
    result = run_deploy(living.hosts, etcd)
    told = [what for _, what in living.events]
    assert told.index("move") < told.index("update") < told.index("stop")
    assert "voters 3, quorum 2, healthy 3 -> 2 while n1 restarts" in result.log


@pytest.mark.parametrize("name", ["", "n2"])
def test_f08_a_voter_that_was_never_started_or_has_another_s_name_counts_in_every_turn(world, name):
    stranger = {"ID": 0xAB, "peerURLs": ["https://198.18.99.9:2380"], **({"name": name} if name else {})}
    for host in HOSTS:
        world.show(host, "converged", strangers=(stranger,))
    living = Living(world)
    living._show = lambda: None
    living._answer = lambda host, command, ask=living._answer: (
        ["down https://198.18.99.9:2380 connection refused"] if OTHERS in command else ask(host, command)
    )
    result = run_deploy(living.hosts, etcd, data={**SLOWER, "etcd_allow_even": True})
    assert "found other voters down (" in result.log
    assert f"{name or 'never started'} (00000000000000ab): connection refused" in result.log
    assert living.happened("stop") == []


def test_f02_the_consent_to_start_empty_ends_when_a_newcomer_has_its_data(tmp_path, archive):
    world = World(tmp_path / "controller", ("n1", "n2", "n3", "n4"), etcd_allow_even=True)
    for host in HOSTS:
        world.show(host, "converged", listed=world.cluster.members[:3])
    world.show("@fake/n4", "empty")
    living = Living(world)
    result = run_deploy(living.hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    commands = result.commands["@fake/n4"]
    (given,) = [
        number for number, command in enumerate(commands) if f"consent={MAY_START_EMPTY}\n" in command
    ]
    assert any(command.endswith(f"rm -f {MAY_START_EMPTY}") for command in commands[given + 1 :])


def crashing(world, *hosts):
    """Let members be started again and again with a configuration that ends them: nothing listens, and no quorum answers."""
    silent = "etcd health no connection refused: nothing listens on https://127.0.0.1:2379"
    for host in hosts:
        world.show(host, "unhealthy")
        world.hosts[host].lines = [
            silent if line.startswith("etcd health") else _other(line) for line in world.hosts[host].lines
        ]


def _other(line):
    if line.startswith("file ") and line.endswith("/conf.yml"):
        return " ".join(["file", "0" * 64, *line.split()[2:]])
    return f"started config {'0' * 64}" if line.startswith("started config ") else line


def test_members_that_are_started_again_and_again_get_what_mends_them_without_a_quorum(world):
    crashing(world, *HOSTS)
    living = Living(world)
    result = run_deploy(living.hosts, etcd)
    assert (result.refused, result.failed) == ("", set()), result.log
    assert sorted(living.happened("stop")) == sorted(living.happened("start")) == list(HOSTS)


def test_without_a_quorum_members_that_serve_are_not_restarted_together(world):
    crashing(world, *HOSTS)
    for host in (N1, N2):
        world.hosts[host].lines = [
            "etcd health no context deadline exceeded" if line.startswith("etcd health") else line
            for line in world.hosts[host].lines
        ]
    living = Living(world)
    run_deploy(living.hosts, etcd)
    assert living.happened("stop") == [N3]


# Members that are down, and something due elsewhere.

REPLACED = {**SLOWER, "etcd_replace": "n2"}


def replaced(living, *hosts):
    """Let members that joined anew be listed and whole again once they are started."""
    reply = living.reply

    def answer(host, command):
        if MAY_START_EMPTY in command:
            living.removed.discard(host)
        return reply(host, command)

    for host in hosts:
        living.hosts[host].reply = lambda command, host=host: answer(host, command)
    return living


def test_d7_a_lost_disk_is_replaced_before_healthy_members_get_their_turn(world, archive):
    lost_disk(world)
    living = replaced(Living(world), N2)
    result = run_deploy(living.hosts, etcd, data=REPLACED)
    assert (result.refused, result.failed) == ("", set()), result.log
    assert living.happened("start") == [N2, N3, N1]
    assert living.happened("stop") == [N3, N1]


@pytest.mark.parametrize("mode", MODES[1:])
def test_d7_where_pyinfra_chooses_the_order_a_replacement_is_refused_before_anybody_is_touched(
    world, archive, mode, monkeypatch
):
    lost_disk(world)
    living = Living(world)
    option = f"--{mode.replace('_', '-')}"
    monkeypatch.setattr("etcd_steward.cli_mode.one_by_one", lambda: option)
    result = run_deploy(living.hosts, etcd, data=REPLACED, mode=mode)
    assert f"run without {option}" in result.refused
    assert living.events == []


@pytest.mark.parametrize("replace", [True, False], ids=["one lost its disk", "both have their data"])
def test_d7_of_two_that_are_down_none_waits_for_the_other(tmp_path, archive, replace):
    world = World(tmp_path, ("n1", "n2", "n3", "n4", "n5"))
    world.show(N3, "stopped")
    if replace:
        lost_disk(world)
    else:
        world.show(N2, "stopped")
    living = replaced(Living(world), N2)
    result = run_deploy(living.hosts, etcd, data=REPLACED if replace else SLOWER)
    assert (result.refused, result.failed) == ("", set()), result.log
    started = living.happened("start")
    assert set(started[:2]) == {N2, N3}
    assert started[2:] == ["@fake/n4", "@fake/n5", N1]
    assert living.happened("stop") == started[2:]

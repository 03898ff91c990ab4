"""What is promised about `deploys/status.py`, with pyinfra's real engine over pretended hosts."""

import json
import logging
import sys

import pyinfra
import pytest

from etcd_steward.verbs import etcd, status
from etcd_steward.versions import DEFAULT
from tests.engine.fakes import PROBE, World, run_deploy

HOSTS = {"@fake/n1", "@fake/n2", "@fake/n3"}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


# What asks for the last error in the log of a member that is down.
LOG = "grep -E 'error|fatal|panic|"


def only_probed(result):
    return all(PROBE in command for commands in result.commands.values() for command in commands)


def only_asked(result):
    """Tell whether hosts were only looked at, and those that are down asked why."""
    commands = [command for told in result.commands.values() for command in told]
    return all(PROBE in command or LOG in command for command in commands) and not any(result.stdin.values())


def test_a_healthy_cluster_succeeds_with_one_command_for_each_host(world):
    result = run_deploy(world.hosts, status)
    assert (result.refused, result.failed) == ("", set())
    assert {host: len(commands) for host, commands in result.commands.items()} == dict.fromkeys(HOSTS, 1)
    assert only_probed(result)


def test_no_traceback_of_the_transport_reaches_the_terminal(world, monkeypatch, capsys):
    root, transport = logging.getLogger(), logging.getLogger("paramiko.transport")
    for logger in (root, transport.parent):
        monkeypatch.setattr(logger, "handlers", [])
    run_deploy(world.hosts, status)
    monkeypatch.setattr(root, "handlers", [])
    capsys.readouterr()
    transport.error("Traceback (most recent call last)")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("yes", [True, False])
def test_the_table_is_printed_once(world, yes):
    result = run_deploy(world.hosts, status, yes=yes)
    assert result.stdout.count("etcd cluster etcd") == 1
    assert result.stdout.count("n2      healthy") == 1


def test_the_prompt_costs_no_second_look(world):
    result = run_deploy(world.hosts, status, yes=False)
    assert [len(commands) for commands in result.commands.values()] == [1, 1, 1]


@pytest.mark.parametrize("condition", ["empty", "stopped", "half", "unhealthy"])
def test_one_member_that_is_not_well_fails_the_run(world, condition):
    world.show("@fake/n2", condition)
    result = run_deploy(world.hosts, status)
    assert "@fake/n2" in result.failed
    assert only_asked(result)


def test_an_unreachable_member_is_a_row_and_fails_the_run(world):
    world.hosts["@fake/n3"].reachable = False
    result = run_deploy(world.hosts, status)
    assert "n3      no answer: " in result.stdout
    assert "n1      healthy" in result.stdout
    assert result.failed == HOSTS
    assert len(result.commands["@fake/n3"]) == 0


def test_one_host_is_enough_to_tell_the_status(world):
    world.hosts["@fake/n2"].reachable = world.hosts["@fake/n3"].reachable = False
    world.show("@fake/n1", "unhealthy")
    result = run_deploy(world.hosts, status)
    assert "n1      unhealthy" in result.stdout
    assert "no quorum that answers (0 of 3 members do; " in result.stdout
    assert result.failed == HOSTS


def test_a_host_outside_the_limit_is_looked_at_too_and_its_problem_fails_the_run(world):
    world.show("@fake/n3", "stopped")
    result = run_deploy(world.hosts, status, limit=["@fake/n1"])
    assert "n3      stopped" in result.stdout
    assert result.failed == {"@fake/n1"}
    assert "the cluster is not as promised (@fake/n3: found etcd stopped" in result.log


def test_hosts_where_nothing_is_installed_yet_are_rows(tmp_path):
    world = World(tmp_path, formed=False)
    result = run_deploy(world.hosts, status)
    assert result.stdout.count("no etcd ") == 3
    assert result.failed == HOSTS


def test_nothing_is_created_on_the_controller(tmp_path):
    world = World(tmp_path, formed=False)
    run_deploy(world.hosts, status)
    assert list(tmp_path.iterdir()) == []


def test_a_second_controller_without_the_authorities_sees_the_same(world, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    result = run_deploy(world.hosts, status, data={"etcd_pki_dir": str(elsewhere)})
    assert (result.refused, result.failed) == ("", set())
    assert not elsewhere.exists()


def test_another_release_than_the_settings_say_does_not_fail_status(world):
    for host in world.hosts:
        world.show(host, "converged", version="3.5.30")
    result = run_deploy(world.hosts, status)
    assert result.failed == set()
    assert f"found etcd 3.5.30 running, wanted {DEFAULT} as etcd_version says" in result.stdout


def test_members_of_several_clusters_are_shown_and_fail_the_run(world):
    world.show("@fake/n3", "converged", cluster_id=99)
    result = run_deploy(world.hosts, status)
    assert result.refused == "No hosts remaining!"
    assert "members of several clusters" in result.stdout
    assert result.stdout.count("healthy ") >= 3


def test_a_refusal_of_the_plan_fails_the_run(world):
    wal = [line for line in world.hosts["@fake/n1"].lines if line.startswith("data wal ")]
    lines = [line for line in world.hosts["@fake/n2"].lines if not line.startswith("data wal ")]
    world.hosts["@fake/n2"].lines = [*lines[:-1], *wal, "end"]
    result = run_deploy(world.hosts, status)
    assert {"@fake/n1", "@fake/n2"} <= result.failed


def test_wrong_settings_are_refused_before_any_host_is_asked(world):
    result = run_deploy(world.hosts, status, data={"etcd_verion": "3.5.33"})
    assert "found an unknown setting etcd_verion" in result.refused
    assert "next: write etcd_version" in result.refused
    assert result.stdout == ""
    assert [len(commands) for commands in result.commands.values()] == [0, 0, 0]


def test_json_is_one_line_on_standard_output(world):
    result = run_deploy(world.hosts, status, data={"etcd_output": "json"})
    value = json.loads(result.stdout)
    assert value["healthy"] is True
    assert [member["member"] for member in value["members"]] == ["n1", "n2", "n3"]


def test_with_json_of_pyinfra_standard_output_is_left_to_it(world, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pyinfra", "-y", "--json", "inventory.py", "deploys/status.py"])
    # Only what asks for pyinfra's own JSON: the engine itself must not believe that it runs as a command.
    monkeypatch.setattr("etcd_steward.cli_mode.pyinfra", type("Cli", (), {"is_cli": True}))
    result = run_deploy(world.hosts, status)
    assert pyinfra.is_cli is False
    assert result.stdout == ""
    assert "etcd cluster etcd" in capsys.readouterr().err


def test_several_clusters_in_one_inventory_have_a_table_each(tmp_path):
    first = World(tmp_path / "a", cluster="alpha", etcd_inventory_group="etcd_a")
    second = World(
        tmp_path / "b", ("m1", "m2", "m3"), cluster="beta", net="198.18.98", etcd_inventory_group="etcd_b"
    )
    second.show("@fake/m2", "stopped")
    result = run_deploy(first.hosts | second.hosts, status)
    assert result.stdout.count("etcd cluster alpha") == 1
    assert result.stdout.count("etcd cluster beta") == 1
    assert result.failed == {"@fake/m2"}


def test_a_host_that_is_no_member_is_passed_over(world, tmp_path):
    other = World(tmp_path / "other", ("web",), net="198.18.97").hosts["@fake/web"]
    other.groups = ("web",)
    result = run_deploy(world.hosts | {other.name: other}, status)
    assert result.failed == set()
    assert result.commands[other.name] == []
    assert "web" not in result.stdout


def test_an_unreached_host_whose_address_only_its_interface_tells_is_a_row_all_the_same(world):
    for host in world.hosts.values():
        del host.data["etcd_address"]
        host.data["etcd_interface"] = "eth0"
    world.hosts["@fake/n3"].reachable = False
    result = run_deploy(world.hosts, status)
    assert "n3      no answer: " in result.stdout
    assert "not in the inventory" not in result.stdout


def test_no_key_appears_in_what_status_prints(world):
    for data in ({}, {"etcd_output": "json"}):
        result = run_deploy(world.hosts, status, data=data)
        assert "PRIVATE" not in result.stdout + result.log
        assert world.record.token not in result.stdout + result.log


REQUIRES_TTY = "sudo: sorry, you must have a tty to run sudo"


@pytest.mark.parametrize("verb", [status, etcd])
def test_the_words_of_sudo_stand_in_place_of_a_host_that_is_gone(world, verb):
    world.hosts["@fake/n3"].refusal = REQUIRES_TTY
    # Something is to be done, so that every host is wanted.
    world.show("@fake/n2", "stopped")
    result = run_deploy(world.hosts, verb)
    told = " ".join(f"{result.stdout} {result.refused}".split())
    assert f"@fake/n3: found no answer (the login is refused root: {REQUIRES_TTY}" in told
    assert "bring it back" not in told
    assert only_asked(result)


def test_a_host_that_refused_one_session_beside_others_is_asked_once_more(world):
    lines, asked = world.hosts["@fake/n3"].lines, []

    class Once(list):
        def __iter__(self):
            asked.append(1)
            return iter([] if len(asked) == 1 else lines)

    world.hosts["@fake/n3"].lines = Once()
    result = run_deploy(world.hosts, status)
    assert (result.failed, len(asked)) == (set(), 2)


def test_a_terminal_that_echoes_keys_is_refused_by_name(world):
    world.hosts["@fake/n3"].data["_get_pty"] = True
    result = run_deploy(world.hosts, status)
    assert "@fake/n3: found _get_pty" in result.refused
    assert not any(result.commands.values())


LOGGED = 'Nov 28 06:00:00 n2 daemon.info etcd: {"level":"panic","msg":"failed to recover v3 backend from snapshot: no space left on device"}'


@pytest.mark.parametrize("condition", ["stopped", "unhealthy"])
def test_the_last_error_and_the_room_of_a_member_that_is_down_are_told(world, condition):
    world.show("@fake/n2", condition)
    lines = world.hosts["@fake/n2"].lines
    world.hosts["@fake/n2"].lines = [
        "free 3000 /data" if line.startswith("free ") else line for line in lines
    ]
    world.hosts["@fake/n2"].reply = lambda command: [LOGGED] if "tail -n 200" in command else []
    result = run_deploy(world.hosts, status)
    told = " ".join(result.stdout.split())
    assert "no space left on device" in told
    assert "2 MB free on /data" in told
    # The others are asked no more than before.
    assert [len(result.commands[f"@fake/{name}"]) for name in ("n1", "n2", "n3")] == [1, 2, 1]


def test_a_member_that_is_healthy_and_has_no_room_is_told_too(world):
    lines = world.hosts["@fake/n2"].lines
    world.hosts["@fake/n2"].lines = [
        "free 3000 /data" if line.startswith("free ") else line for line in lines
    ]
    result = run_deploy(world.hosts, status)
    assert result.failed == set()
    assert "note: @fake/n2: found 2 MB free on /data" in " ".join(result.stdout.split())


def test_no_word_of_a_host_steers_the_terminal_however_it_comes_in(world):
    steering = "\x1b[2J\x1b]0;gone\x07"
    world.hosts["@fake/n1"].refusal = f"sudo: {steering}sorry"
    world.show("@fake/n2", "stopped")
    world.hosts["@fake/n2"].reply = lambda _command: [f"Nov 28 n2 etcd: {steering} panic: {steering}"]
    world.hosts["@fake/n3"].lines.insert(-1, f"lock {steering}")
    result = run_deploy(world.hosts, status)
    assert "panic" in result.stdout
    # What a command writes to its errors pyinfra shows by itself; the sentences are ours.
    assert not set("\x1b\x07") & set(result.stdout)


REFUSED = "connection error: desc = transport: Error while dialing: dial tcp: i/o timeout"


def across(world, answer, again):
    """Let n1 tell how it reached n2, in the look and when it is asked once more."""
    at = world.cluster.member("@fake/n2").client_url
    lines = world.lines("@fake/n1")
    lines.insert(-1, f"etcd across {at} {answer}")
    world.hosts["@fake/n1"].lines = lines
    world.hosts["@fake/n1"].reply = lambda _: None if again is None else [f"across {at} {again}"]
    return at


@pytest.mark.parametrize("again", [f"no {REFUSED}", None], ids=["told", "silent"])
@pytest.mark.parametrize("verb", [status, etcd])
def test_f_a_member_that_is_healthy_on_its_own_host_and_cannot_be_reached_fails_the_run(world, verb, again):
    at = across(world, f"no {REFUSED}", again)
    result = run_deploy(world.hosts, verb)
    assert "@fake/n2" in result.failed
    assert at in result.log
    assert "open port 2379" in result.log
    assert len(result.commands["@fake/n1"]) == 2


@pytest.mark.parametrize("verb", [status, etcd])
def test_f_a_member_that_was_slow_is_tried_once_more_before_anything_is_said_of_it(world, verb):
    across(world, "no context deadline exceeded", "yes")
    result = run_deploy(world.hosts, verb)
    assert (result.refused, result.failed) == ("", set())
    assert [len(result.commands[host]) for host in sorted(HOSTS)] == [2, 1, 1]


def test_f_a_member_that_is_down_is_not_asked_for_again(world):
    across(world, f"no {REFUSED}", None)
    world.show("@fake/n2", "stopped")
    result = run_deploy(world.hosts, status)
    assert len(result.commands["@fake/n1"]) == 1
    assert "no way from" not in result.log


def test_f_etcd_s_own_list_says_where_clients_reach_a_member(world):
    lines = world.lines("@fake/n1")
    lines.insert(-1, f"etcd across https://203.0.113.9:2379 no {REFUSED}")
    world.hosts["@fake/n1"].lines = lines
    assert run_deploy(world.hosts, status).failed == set()

"""What is promised about hosts that fall silent, over pretended hosts that never answer."""

import itertools
import signal
import subprocess
import sys

import pytest

from etcd_steward import waits
from etcd_steward.verbs import etcd, status
from tests.engine.common import HOSTS, N1, N2, N3, SLOWER
from tests.engine.fakes import World, run_deploy
from tests.engine.living import LOCK, Living, value


@pytest.fixture
def hasty(monkeypatch):
    """Let every limit be short: who answers at all does so at once here."""
    monkeypatch.setattr(waits, "_ending", [0.05])


def from_the(number):
    """Hang from some command on."""
    count = itertools.count()
    return lambda _command: next(count) >= number


@pytest.mark.usefixtures("hasty")
def test_a_host_that_never_answers_is_a_row_and_the_others_are_shown(world, capsys):
    world.hosts[N2].hangs = from_the(0)
    result = run_deploy(world.hosts, status)
    assert result.failed >= {N2}
    assert [result.stdout.count(f"n{number}") > 0 for number in (1, 2, 3)] == [True, True, True]
    assert f"{N2}: found no end of it within 0.05 s" in result.stdout + result.log


def taken_and_given_back(result):
    """Count the locks that were taken and given back on each host."""
    told = {}
    for host, commands in result.commands.items():
        locks = [command for command in commands if LOCK in command]
        told[host] = [sum(bool(value(one, "release")) is give for one in locks) for give in (False, True)]
    return told


@pytest.mark.usefixtures("hasty", "hurried")
def test_a_run_ends_wherever_a_host_falls_silent_and_no_lock_stays_on_the_others(tmp_path):
    whole = run_deploy(Living(World(tmp_path / "whole")).hosts, etcd, data=SLOWER)
    assert (whole.refused, whole.failed) == ("", set())
    assert len(whole.commands[N2]) > 1
    for number in range(len(whole.commands[N2])):
        world = World(tmp_path / str(number))
        living = Living(world)
        world.hosts[N2].hangs = from_the(number)
        result = run_deploy(living.hosts, etcd, data=SLOWER)
        given_up = number == len(whole.commands[N2]) - 1 and LOCK in whole.commands[N2][-1]
        # One that does not give back its lock any more has done all else.
        assert result.refused or result.failed or given_up, number
        for host in (N1, N3):
            taken, given = taken_and_given_back(result)[host]
            assert taken == given, (number, host)
            assert host in living.running, (number, host)


@pytest.mark.usefixtures("hasty")
def test_a_host_that_answers_again_is_no_longer_called_silent(world):
    answers = iter([True])
    world.hosts[N2].hangs = lambda _command: next(answers, False)
    result = run_deploy(Living(world).hosts, etcd, data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    assert f"{N2}: found no end of it" in result.log
    assert waits.trouble(result.state.inventory.get_host(N2)) == ""


@pytest.mark.parametrize(("how", "ended"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_a_run_that_waits_for_a_host_and_never_with_status_0(tmp_path, how, ended):
    (tmp_path / "inventory.py").write_text(
        f"etcd = [(name, {{'etcd_address': f'198.18.99.{{n}}', 'fake_delay': 3600}})"
        f" for n, name in enumerate({list(HOSTS)}, 11)]\n"
    )
    (tmp_path / "verb.py").write_text("from etcd_steward.verbs import status\nstatus()\n")
    command = [sys.executable, "-m", "pyinfra", "--debug", "-y", "inventory.py", "verb.py"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        # It waits for all of them then.
        for line in process.stderr:
            if "simulating command on" in line and N3 in line:
                break
        process.send_signal(how)
        rest = process.stderr.read()
    assert process.returncode == ended, rest
    assert "Disconnecting from hosts" in rest
    assert "Traceback" not in rest

"""What an interrupted run has left: told in the status, and cleared away only where it is surely nobody's."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etcd_steward.desired import record_path
from etcd_steward.facts.probe import questions
from etcd_steward.leftovers import FOLDER, is_nobodys, new_folder, notes
from etcd_steward.locking import FILE, RUNNING, Owner, has_ended, mark
from etcd_steward.observed import HostState
from etcd_steward.settings import Settings
from etcd_steward.shell import script

if TYPE_CHECKING:
    from pathlib import Path

DAY = 24 * 3600
NOW = 1_800_000_000


def ended() -> str:
    """Give the mark of a process of this machine that is gone."""
    code = "from etcd_steward.locking import mark; print(mark())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_mark_tells_that_its_process_has_ended() -> None:
    assert not has_ended(mark())
    assert has_ended(ended())


@pytest.mark.parametrize("other", ["", "x", "-1-1", "01234567-1-1", "01234567-x-1", "--"])
def test_of_any_other_mark_nothing_is_known(other: str) -> None:
    assert not has_ended(other)


def test_a_temporary_folder_is_nobodys_once_its_run_has_ended_or_after_a_day() -> None:
    mine = new_folder().replace("XXXXXX", "aB3dE6")
    left = f"{FOLDER}{ended()}.aB3dE6"
    elsewhere = f"{FOLDER}01234567-1-1.aB3dE6"
    assert [is_nobodys(path, 0) for path in (mine, left, elsewhere)] == [False, True, False]
    assert [is_nobodys(path, DAY + 1) for path in (mine, left, elsewhere)] == [True, True, True]


@pytest.mark.parametrize("path", [f"{FOLDER}mine", f"{FOLDER}01234567-1-1.aB3dE6 /etc", f"{FOLDER}../../etc"])
def test_what_has_another_name_is_never_ours(path: str) -> None:
    assert not is_nobodys(path, 10 * DAY)


def test_the_status_names_what_was_left_and_the_run_that_clears_it_away() -> None:
    owner = replace(Owner.me("upgrade"), pid=2**22 + 1)
    line = f"{owner.token} {owner.line}"
    folder = f"{FOLDER}{ended()}.aB3dE6"
    drill = "/var/lib/etcd-snapshots/.drill.aB3dE6"
    hosts = {
        "n1": HostState("n1", now=NOW, lock=line, left={folder: NOW, drill: NOW - 2 * DAY}),
        "n2": HostState("n2", now=NOW, lock=line, left={drill: NOW - 60}),
        "n3": HostState("n3", now=NOW),
    }
    lock, copy, old = notes(hosts.items())
    assert lock.startswith("n1, n2: the lock of a run that has ended (")
    assert "runs upgrade since" in lock
    assert copy == f"n1: left by an interrupted run: {folder}; next: run deploys/etcd.py"
    assert old == f"n1: left by an interrupted run: {drill}; next: run deploys/drill.py"


def test_a_lock_that_may_be_held_is_told_with_its_owner_and_the_way_out() -> None:
    owner = Owner.me("etcd")
    told = notes({"n1": HostState("n1", lock=f"{owner.token} {owner.line}")}.items())
    assert told == [
        f"n1: locked, {owner}; if that is surely dead, the next run needs --data etcd_break_lock=true"
    ]
    assert notes({"n1": HostState("n1", lock="?")}.items())[0].startswith("n1: locked, by somebody; ")


def test_f42_of_many_that_find_the_same_dead_owner_one_takes_the_lock_over(
    tmp_path: os.PathLike[str],
) -> None:
    file = f"{os.fspath(tmp_path)}/{FILE.rpartition('/')[2]}"
    for _ in range(12):
        with open(file, "w") as lock:  # noqa: PTH123 - its path is a text for the shell
            lock.write("dead boot 1 1 etcd now somebody\n")
        takers = [
            script("lock.sh", file=file, token=f"t{number}", line="x", replace="dead", release="") + ""
            for number in range(8)
        ]
        jobs = [subprocess.Popen(["sh", "-c", one], stdout=subprocess.PIPE, text=True) for one in takers]
        assert sorted(job.communicate()[0].split()[0] for job in jobs) == ["held"] * 7 + ["taken"]


def test_a_host_is_looked_at_once_a_killed_runs_command_has_ended_there(tmp_path: Path) -> None:
    running, record = tmp_path / "running", tmp_path / "record"
    holder = subprocess.Popen(
        ["sh", "-c", 'exec 9>"$0"; flock 9; echo held; exec cat', running],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    # Who waits lets the command do the rest of its work and end.
    sleep = tmp_path / "sleep"
    sleep.write_text(f"#!/bin/sh\necho '{{}}' >{record}\nkill {holder.pid} || :\n")
    sleep.chmod(0o755)
    text = questions(Settings(), "n1") + ""
    for name, path in ((RUNNING, running), (record_path("etcd"), record)):
        assert f"={name}\n" in text
        text = text.replace(f"={name}\n", f"={path}\n")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    probed = subprocess.run(["sh", "-c", text], capture_output=True, text=True, env=environment, check=True)
    holder.communicate()
    assert "record {}" in probed.stdout.splitlines()

"""Who may change a cluster, and when somebody else's right has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.locking import FILE, RUNNING, Owner, conflict, has_ended, mark, unmade
from etcd_steward.shell import script
from etcd_steward.templating import text


def test_f42_an_owner_is_read_back_as_it_was_written() -> None:
    owner = Owner.me("upgrade")
    assert Owner.read(f"{owner.token} {owner.line}") == owner


def test_this_very_process_is_alive() -> None:
    assert not Owner.me("etcd").dead


def test_a_process_of_this_machine_that_has_ended_is_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert replace(Owner.me("etcd"), pid=ended.pid).dead


def test_a_process_that_has_ended_and_that_nobody_reaped_is_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "print()"], stdout=subprocess.PIPE)
    started = Path(f"/proc/{ended.pid}/stat").read_text().rpartition(")")[2].split()[19]
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert replace(Owner.me("etcd"), pid=ended.pid, started=started).dead
    assert mark_of(ended.pid, started)
    ended.communicate()


def mark_of(pid: int, started: str) -> bool:
    """Tell whether the mark of such a process counts as ended."""
    return has_ended(f"{mark().partition('-')[0]}-{pid}-{started}")


def test_a_number_that_was_given_to_another_process_is_no_sign_of_life() -> None:
    assert replace(Owner.me("etcd"), pid=os.getppid(), started="1").dead


def test_a_run_of_another_machine_is_never_taken_for_dead() -> None:
    assert not replace(Owner.me("etcd"), controller="another-boot", pid=1, started="0").dead


def test_a_process_that_cannot_be_read_here_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    living, ended = Owner.me("etcd"), subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr("etcd_steward.locking._started", lambda _pid: "gone")
    assert not living.dead
    assert replace(living, pid=ended.pid).dead


def test_a_container_of_this_machine_is_another_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    dead_here = replace(Owner.me("etcd"), pid=2**22 + 1, started="1")
    assert dead_here.dead
    monkeypatch.setattr("pathlib.Path.readlink", lambda _path: Path("pid:[1]"))
    assert not dead_here.dead
    assert mark().partition("-")[0] != dead_here.controller[:8]


def held(folder: Path, replaced: str = "", first: str = "") -> str:
    """Take a lock in a folder as a host does, and return what was said."""
    file = str(folder / "lock")
    values = {
        "file": file,
        "token": "me",
        "line": "boot 1 1 etcd now x@y",
        "replace": replaced,
        "release": "",
    }
    command = first + script("lock.sh", **values)
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout


def test_f42_a_full_disk_leaves_no_lock_that_nobody_owns(tmp_path: Path) -> None:
    assert held(tmp_path, first="trap '' XFSZ; ulimit -f 0\n").startswith("unmade ")
    assert list(tmp_path.iterdir()) == []
    assert held(tmp_path) == "taken\n"
    assert held(tmp_path) == "held me boot 1 1 etcd now x@y\n"
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_f42_a_lock_that_cannot_be_read_is_replaced_only_where_it_is_to_be_broken(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert held(tmp_path).startswith("held")
    assert held(tmp_path, replaced="?") == "taken\n"


@given(st.text())
def test_anything_else_in_the_file_is_no_owner(text: str) -> None:
    owner = Owner.read(text)
    assert owner is None or owner.token in text


def test_f42_the_refusal_names_host_owner_verb_time_and_the_way_out() -> None:
    owner = replace(Owner.me("upgrade"), who="ana@laptop", since="2026-11-21T02:00:00Z", pid=7)
    told = conflict({"n2": owner, "n1": None})
    assert "n2: ana@laptop (process 7) runs upgrade since 2026-11-21T02:00:00Z" in told
    assert "n1: somebody" in told
    assert "etcd_break_lock=true" in told


def stranger(command):
    return subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        user=65534,
        group=65534,
        extra_groups=[],
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another account")
def test_d10_no_other_account_can_hold_the_locks_of_a_host():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        assert os.path.dirname(FILE) == os.path.dirname(RUNNING)  # noqa: PTH120 - a path of the host
        place = f"{name}/own"
        guard = text("guard.sh").replace(os.path.dirname(RUNNING), place)  # noqa: PTH120
        assert place in guard
        lock = script("lock.sh", file=f"{place}/lock", token="t", line="x", replace="", release="") + ""
        for command in (lock, f"{guard}\necho guarded"):
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
            assert done.stdout in {"taken\n", "guarded\n"}
        assert Path(place).stat().st_mode & 0o777 == 0o700
        for target in (place, f"{place}/lock", f"{place}/running"):
            assert stranger(f"exec 9<{target}").returncode != 0


def test_d10_a_lock_that_somebody_holds_without_end_is_told_after_a_while(tmp_path, monkeypatch):
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    (tmp_path / "sleep").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    place = tmp_path / "own"
    place.mkdir()
    holder = subprocess.Popen(
        ["sh", "-c", 'exec 9<"$0"; flock 9; echo held; exec cat', place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    lock = script("lock.sh", file=f"{place}/lock", token="t", line="x", replace="", release="") + ""
    done = subprocess.run(["sh", "-c", lock], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("held")
    holder.communicate()


def test_a_lock_that_cannot_be_made_names_the_folder_and_its_room_and_never_somebody_else() -> None:
    told = unmade({"n1": "/run (0 KB free; no space left)", "n2": ""})
    assert "n1: /run (0 KB free" in told
    assert "n2: no answer" in told
    assert "etcd_break_lock" not in told

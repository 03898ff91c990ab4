"""Who may change a cluster, and when somebody else's right has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.locking import Owner, conflict


def test_f42_an_owner_is_read_back_as_it_was_written() -> None:
    owner = Owner.me("upgrade")
    assert Owner.read(f"{owner.token} {owner.line}") == owner


def test_this_very_process_is_alive() -> None:
    assert not Owner.me("etcd").dead


def test_a_process_of_this_machine_that_has_ended_is_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert replace(Owner.me("etcd"), pid=ended.pid).dead


def test_a_number_that_was_given_to_another_process_is_no_sign_of_life() -> None:
    assert replace(Owner.me("etcd"), pid=os.getppid(), started="1").dead


def test_a_run_of_another_machine_is_never_taken_for_dead() -> None:
    assert not replace(Owner.me("etcd"), controller="another-boot", pid=1, started="0").dead


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

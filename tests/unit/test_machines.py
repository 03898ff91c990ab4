"""Two inventory names of one machine are told from two machines that are alike."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.machines import same_machines
from etcd_steward.shell import script
from tests.unit.test_spoken import SHELLS


@given(st.dictionaries(st.text(min_size=1), st.sampled_from(["", "a", "b", "c"])))
def test_every_name_but_the_first_of_a_machine_is_named_and_one_that_told_nothing_never_is(marks):
    told = same_machines(marks)
    known = [mark for mark in marks.values() if mark]
    assert len(told) == len(known) - len(set(known))
    assert all(marks[one.host] for one in told)
    assert not {one.host for one in told} & {
        min(host for host, mark in marks.items() if mark == wanted) for wanted in set(known)
    }


def mark(*before):
    command = script("ctl.sh", "machine.sh") + "\ntell_machine"
    done = subprocess.run([*before, "sh", "-c", command], capture_output=True, check=True, text=True)
    return [line for line in done.stdout.splitlines() if line.startswith("mark ")]


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_a_machine_tells_the_same_twice_and_all_of_its_mark(words):
    command = script("ctl.sh", "machine.sh") + "\ntell_machine"
    told = [
        subprocess.run([*words, "-c", command], capture_output=True, check=True, text=True).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert told[0].count("[") == 3


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not on this machine")
def test_a_container_on_the_same_kernel_is_another_machine():
    if subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us make namespaces")
    assert mark()
    assert mark("unshare", "--uts") != mark()

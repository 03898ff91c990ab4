"""Data that a restore brings: counted once more, laid beside the old, and switched in as a whole."""

import subprocess

import pytest

from etcd_steward.restored import counted_again
from etcd_steward.shell import script


def run(command, **more):
    return subprocess.run(["sh", "-c", command + ""], capture_output=True, text=True, check=False, **more)


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def count(folder, said):
    program(folder / "etcdctl", f"printf '%s\\n' '{said}'")
    command = script(
        "ctl.sh",
        "restored.sh",
        bin_dir=str(folder),
        ca="",
        cert="",
        key="",
        endpoint="x",
        revision=1000000009,
    )
    return counted_again(run(command).stdout.strip(), 4, 1000000009)


ERROR = '{"level":"warn","msg":"retrying"}\nError: etcdserver: '


@pytest.mark.parametrize(
    "said", ["mvcc: required revision has been compacted", "user name is empty", "permission denied"]
)
def test_keys_that_compaction_or_authentication_hides_are_only_noted(tmp_path, said):
    problem, note = count(tmp_path, ERROR + said)
    assert problem == ""
    assert note == f"note: keys were not counted again (Error: etcdserver: {said})"


@pytest.mark.parametrize(
    "said",
    [
        ERROR + "mvcc: required revision is a future revision",
        "Error: context deadline exceeded",
        '{"header":{"revision":1000000009},"count":3}',
        '{"header":{"revision":1000000009}}',
        "",
    ],
)
def test_less_than_the_manifest_promises_or_no_answer_fails_the_restore(tmp_path, said):
    problem, _ = count(tmp_path, said)
    assert problem.startswith("found ")
    assert "wanted 4 as the manifest says; next: " in problem


def test_the_keys_of_the_manifest_are_well(tmp_path):
    assert count(tmp_path, '{"header":{"revision":1000000009},"count":4}') == (
        "",
        "4 keys at revision 1000000009, as the manifest says",
    )

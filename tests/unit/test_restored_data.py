"""Data that a restore brings: counted once more, laid beside the old, and switched in as a whole."""

import hashlib
import os
import shutil
import subprocess

import pytest

from etcd_steward.restored import counted_again, switch
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


ETCDUTL = """
[ "$2" = restore ] || { echo '{"revision":9,"totalKey":1}'; exit; }
while [ $# -gt 0 ]; do case $1 in --data-dir) a=$2 ;; --wal-dir) l=$2 ;; esac; shift; done
mkdir -p "$a/member/snap" "${l:=$a/member/wal}"; echo new >"$a/member/snap/db"; echo new >"$l/0.wal"
"""


@pytest.fixture
def places(tmp_path):
    """Make a member with its log on a disk of its own, and a snapshot that waits to be restored."""
    for name in ("bin", "data/member/snap", "disk/wal", "snapshots"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/member/snap/db").write_text("old\n")
    (tmp_path / "disk/wal/0.wal").write_text("old\n")
    (tmp_path / "snapshot.db").write_text("new")
    program(tmp_path / "bin/etcdutl", ETCDUTL)
    return tmp_path


def refusing(places, what, status=1):
    """Let mv leave whatever bears a name where it is; some say so by their exit status alone, some not at all."""
    real = shutil.which("mv")
    program(
        places / "bin/mv",
        f'case "$*" in *{what}*) echo "mv: Input/output error" >&2; exit {status} ;; esac\nexec {real} "$@"',
    )


def told(places, command):
    return run(command, env={**os.environ, "PATH": f"{places}/bin:{os.environ['PATH']}"})


def stage(places, beside=""):
    common = {"data_dir": str(places / "data")}
    take = {
        "folder": str(places / "snapshots"),
        "spare_mb": 0,
        "cluster": "c",
        "member": "n1",
        "quorum": "no",
    }
    tls = {"ca": "", "cert": "", "key": "", "endpoint": "x", "keep": 1, "days": 1, "hours": 1, "command": ""}
    before = script("ctl.sh", "snapshot.sh", bin_dir=str(places / "bin"), **common, **take, **tls)
    after = script(
        "enter.sh",
        "restore.sh",
        **common,
        file=str(places / "snapshot.db"),
        sha256=hashlib.sha256(b"new").hexdigest(),
        wal_dir=str(places / "disk"),
        beside=beside,
        incoming="new-3f",
        owner=f"{os.getuid()}:{os.getgid()}",
        name="n1",
        members="n1=x",
        peer_url="x",
        token="t",
        bump="",
        spare_mb=0,
    )
    return told(places, f"{before + ''}\n{after + ''}").stdout.splitlines()


def lying(places):
    return [(places / path).read_text().strip() for path in ("data/member/snap/db", "disk/wal/0.wal")]


def test_d8_nothing_is_staged_where_what_is_written_after_the_stop_finds_no_room(places):
    config = places / "config"
    config.mkdir()
    full = places / "bin/dd"
    full.write_text("#!/bin/sh\necho \"dd: error writing './room': No space left on device\" >&2\nexit 1\n")
    full.chmod(0o755)
    last = stage(places, str(config))[-1]
    assert last.startswith(f"failed found no room in {config} (dd: ")
    assert not (places / "data/member.new-3f").exists()
    full.unlink()
    assert stage(places, f"{config} {places}/nothing")[-1] == "staged now"
    assert list(config.iterdir()) == []


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("what", ["wal.new-3f", "member.new-3f"])
def test_data_that_could_not_be_laid_beside_the_old_is_not_said_to_lie_there(places, what, status):
    refusing(places, what, status)
    last = stage(places)[-1]
    assert last.startswith("failed found ")
    assert "mv: Input/output error" in last
    assert not (places / "data/member.new-3f").exists()
    (places / "bin/mv").unlink()
    assert stage(places)[-1] == "staged now"
    assert stage(places)[-1] == "staged already"
    assert not (places / "data/.steward").exists()
    assert not (places / "disk/.steward").exists()


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("what", ["wal.new-3f", "disk/wal.2", "member.new-3f", "member.2"])
def test_a_switch_in_which_anything_stayed_where_it_was_fails_and_the_next_one_finishes_it(
    places, what, status
):
    assert stage(places)[-1] == "staged now"
    command = switch(str(places / "data"), str(places / "disk"), "new-3f")
    refusing(places, what, status)
    assert told(places, command).returncode != 0
    (places / "bin/mv").unlink()
    for _ in range(2):
        assert told(places, command).returncode == 0
        assert lying(places) == ["new", "new"]


def test_no_new_data_is_switched_in_over_the_old_log(places):
    assert stage(places)[-1] == "staged now"
    refusing(places, "wal.new-3f", 0)
    assert told(places, switch(str(places / "data"), str(places / "disk"), "new-3f")).returncode != 0
    assert (places / "data/member/snap/db").read_text() == "old\n"

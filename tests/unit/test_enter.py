"""Root works where other accounts do their worst: links, folders and names of theirs lead it nowhere else. Run for real."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward import uploads
from etcd_steward.shell import Content, framed, put_calls, script, settle_calls
from etcd_steward.templating import text

SHELLS = [
    words for words in (["dash"], ["sh"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])
]
STRANGER = 65534
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of other accounts")


def shell(words, command, given_input="", **more):
    return subprocess.run(
        [*words, "-c", command + ""], input=given_input, capture_output=True, text=True, check=False, **more
    )


def put(words, *files):
    return shell(
        words,
        f"{text('enter.sh')}\n{text('put.sh')}\n{put_calls(files)}\ncd /; entered=\n{settle_calls(files)}",
        framed(files),
    )


def seen(folder):
    """Write down everything below a folder: kinds, modes, owners, contents."""
    told = {}
    for at in [folder, *sorted(folder.rglob("*"))]:
        state = at.lstat()
        body = at.readlink() if at.is_symlink() else at.read_bytes() if at.is_file() else ""
        told[str(at)] = (state.st_mode, state.st_uid, state.st_gid, body)
    return told


@dataclass
class Place:
    """A folder that other accounts can enter, and what must stay as it is."""

    root: Path
    victim: Path
    before: dict[str, object]

    def untouched(self):
        return seen(self.victim) == self.before


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory() as name:
        yield make(Path(name))


def make(root):
    root.chmod(0o755)
    victim = root / "victim"
    (victim / "room").mkdir(parents=True)
    victim.chmod(0o755)
    for one in ("shadow", "server.pem", "server-key.pem", "room/server.pem"):
        (victim / one).write_text("root's own\n")
        (victim / one).chmod(0o600)
    return Place(root, victim, seen(victim))


def of_stranger(path):
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    return path


def folder_of_stranger(path):
    path.mkdir()
    path.chmod(0o755)
    return of_stranger(path)


def pair(folder):
    return (
        Content(f"{folder}/server-key.pem", "key\n", "600", f"{STRANGER}:{STRANGER}", with_next=True),
        Content(f"{folder}/server.pem", "certificate\n", "644", "root:root"),
        Content(f"{folder}/shadow", "x\n", "644", f"{STRANGER}:{STRANGER}"),
    )


KINDS = st.sampled_from(["root", "stranger", "sticky", "open", "missing", "group"])
TRAPS = st.dictionaries(
    st.sampled_from([".steward", ".shadow.steward", "server.pem", "server-key.pem", "shadow", "a", "b"]),
    st.sampled_from(["victim", "victim/shadow", "victim/room", "victim/server.pem", "own", "nowhere"]),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(KINDS, TRAPS), min_size=1, max_size=3), st.sampled_from(SHELLS))
def test_whatever_lies_on_the_way_nothing_but_the_wanted_file_is_written(levels, words):
    with tempfile.TemporaryDirectory() as name:
        place = make(Path(name))
        at = place.root / "way"
        for number, (kind, traps) in enumerate(levels):
            at = at / "ab"[number % 2] if number else at
            if (
                kind == "missing"
                or at.is_symlink()
                or at.resolve() != at
                or not at.parent.is_dir()
                or at.exists()
            ):
                continue
            at.mkdir()
            at.chmod({"sticky": 0o1777, "open": 0o777, "group": 0o775}.get(kind, 0o755))
            if kind in {"stranger", "group"}:
                os.chown(at, STRANGER if kind == "stranger" else 0, STRANGER)
            if kind != "root":
                for trap, leads in traps.items():
                    if leads == "own":
                        folder_of_stranger(at / trap)
                    else:
                        (at / trap).symlink_to(place.root / leads)
                        of_stranger(at / trap)
        done = put(words, *pair(at))
        assert place.untouched()
        if done.returncode == 0:
            for file in pair(at):
                assert Path(file.path).read_text() == file.content
                assert not Path(file.path).is_symlink()
        else:
            assert "; next: " in done.stderr or "mkdir" in done.stderr or "cannot" in done.stderr


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_d5_links_at_the_names_that_are_staged_in_a_clients_folder_are_not_followed(place, words):
    folder = folder_of_stranger(place.root / "client")
    for name in (".steward", ".server.pem.steward", ".shadow.steward"):
        of_stranger_link(folder / name, place.victim)
    for name in ("server.pem", "server-key.pem", "shadow"):
        of_stranger_link(folder / name, place.victim / name)
    done = put(words, *pair(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert place.untouched()
    assert {one: (folder / one).is_symlink() for one in ("server.pem", "server-key.pem", "shadow")} == {
        "server.pem": False,
        "server-key.pem": False,
        "shadow": False,
    }
    assert (folder / "server-key.pem").stat().st_uid == STRANGER
    assert (folder / "server.pem").stat().st_uid == 0


def of_stranger_link(path, leads):
    path.symlink_to(leads)
    of_stranger(path)


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize("mode", [0o777, 0o773])
def test_a_folder_that_everybody_can_write_is_refused(place, words, mode):
    folder = place.root / "open"
    folder.mkdir()
    folder.chmod(mode)
    for path in (folder, folder / "deeper"):
        done = put(words, Content(f"{path}/one", "x\n"))
        assert done.returncode != 0
        assert done.stderr.startswith(f"found {folder} writable by everybody, wanted ")
        assert "; next: chmod o-w " in done.stderr
    assert not list(folder.iterdir())


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_roots_own_links_are_followed_and_those_of_others_are_not(place, words):
    (place.root / "disk").mkdir()
    (place.root / "link").symlink_to("disk/deep")
    assert put(words, Content(f"{place.root}/link/one", "x\n")).returncode == 0
    assert (place.root / "disk/deep/one").read_text() == "x\n"
    folder = folder_of_stranger(place.root / "theirs")
    of_stranger_link(folder / "pki", place.victim)
    done = put(words, Content(f"{folder}/pki/one", "x\n"))
    assert done.returncode != 0
    assert f"a link at {folder}/pki that another account may have made" in done.stderr
    assert place.untouched()


ATTACKER = """
# It ends between two commands, so that none is under way when the folder is taken away.
trap 'exit 0' TERM
cd "$1"
while [ -d "/proc/$3" ]; do
  for name in .steward server.pem shadow pki; do
    mv "$name" "$name.away"; ln -s "$2" "$name"; rm -f "$name"; mkdir "$name"; rmdir "$name"; mv "$name.away" "$name"
  done
done 2>/dev/null
"""


def test_an_account_that_changes_its_folder_without_rest_leads_root_nowhere(place):
    folder = folder_of_stranger(place.root / "client")
    attacker = subprocess.Popen(
        ["sh", "-c", ATTACKER, "attacker", folder, place.victim, str(os.getpid())],
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
    )
    try:
        for _ in range(8):
            for path in (folder, folder / "pki"):
                put(["sh"], *pair(path))
            shell(
                ["sh"],
                script("enter.sh", "folders.sh", folders=[f"{folder}/pki", "700", f"{STRANGER}:{STRANGER}"]),
            )
            shell(["sh"], script("enter.sh", "fsync.sh", folder=str(folder)))
    finally:
        attacker.terminate()
        attacker.communicate()
    assert place.untouched()


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_d4_a_consent_is_written_over_no_link_of_etcds_account(place, words):
    run = folder_of_stranger(place.root / "run")
    of_stranger_link(run / "may-start-empty", place.victim / "shadow")
    command = script("consent.sh", consent=f"{run}/may-start-empty", owner=f"{STRANGER}:{STRANGER}")
    done = shell(words, f"set -e\n{command + ''}")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.untouched()
    consent = run / "may-start-empty"
    assert (consent.is_symlink(), consent.stat().st_uid) == (False, STRANGER)
    assert [one.name for one in place.root.iterdir() if one.name.startswith("run.")] == []


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_d4_the_disk_is_measured_over_no_link_of_etcds_account(place, words):
    data = folder_of_stranger(place.root / "data")
    of_stranger_link(data / ".steward", place.victim)
    done = shell(words, script("enter.sh", "fsync.sh", folder=str(data)))
    assert done.stdout.startswith("fsync ")
    assert place.untouched()
    assert [one.name for one in data.iterdir()] == [".steward"]


ETCDUTL = """#!/bin/sh
[ "$2" = restore ] || { echo '{"revision":9,"totalKey":1}'; exit; }
while [ $# -gt 0 ]; do case $1 in --data-dir) a=$2 ;; --wal-dir) l=$2 ;; esac; shift; done
mkdir -p "$a/member/snap" "${l:=$a/member/wal}"; echo new >"$a/member/snap/db"; echo new >"$l/0.wal"
"""


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize("wal", [False, True])
def test_d4_a_restore_beside_a_running_member_follows_no_link_of_its_account(place, words, wal):
    (place.root / "bin").mkdir()
    (place.root / "bin/etcdutl").write_text(ETCDUTL)
    (place.root / "bin/etcdutl").chmod(0o755)
    (place.root / "snapshot.db").write_text("new")
    data, disk = (folder_of_stranger(place.root / name) for name in ("data", "disk"))
    for folder in (data, disk):
        for name in (".steward", ".restore", "member.new-old", "wal.new-old"):
            of_stranger_link(folder / name, place.victim)
    member = folder_of_stranger(data / "member")
    values = {
        "data_dir": str(data), "wal_dir": str(disk) if wal else "", "beside": "", "folder": str(place.root), "spare_mb": 0,
        "file": str(place.root / "snapshot.db"), "sha256": hashlib.sha256(b"new").hexdigest(), "incoming": "new-3f",
        "owner": f"{STRANGER}:{STRANGER}", "name": "n1", "members": "n1=x", "peer_url": "x", "token": "t", "bump": "",
        "bin_dir": str(place.root / "bin"),
    }  # fmt: skip
    done = shell(words, script("ctl.sh", "snapshot.sh", "enter.sh", "restore.sh", **values))
    assert done.stdout.splitlines()[-1] == "staged now", done
    assert place.untouched()
    new = data / "member.new-3f/snap/db"
    assert (new.read_text(), new.stat().st_uid) == ("new\n", STRANGER)
    assert member.is_dir()
    log = disk / "wal.new-3f/0.wal" if wal else data / "member.new-3f/wal/0.wal"
    assert (log.read_text(), log.parent.stat().st_uid) == ("new\n", STRANGER)
    assert not list(place.root.rglob(".steward.*"))


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_a_member_that_is_a_link_is_moved_aside_as_a_link(place, words):
    data = folder_of_stranger(place.root / "data")
    for leads in (place.victim, place.root / "nowhere"):
        of_stranger_link(data / "member", leads)
        done = shell(words, script("aside.sh", data_dir=str(data), wal_dir=""))
        assert (done.returncode, done.stderr) == (0, "")
        assert not (data / "member").is_symlink()
    assert place.untouched()
    assert sum(one.is_symlink() for one in data.glob("member.*")) == 2


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_d15_root_runs_no_program_out_of_a_folder_that_another_account_can_change(place, words):
    theirs = folder_of_stranger(place.root / "theirs")
    shared = place.root / "shared"
    shared.mkdir()
    os.chown(shared, 0, STRANGER)
    shared.chmod(0o775)
    for prefix in (theirs, theirs / "etcd", shared, shared / "etcd"):
        done = shell(words, uploads.folder(str(prefix))[1])
        assert done.returncode != 0
        assert "in which another account can change the programs that root runs" in done.stderr
    assert not list(theirs.glob("*/.staging"))
    staging, command = uploads.folder(f"{place.root}/opt/etcd")
    assert shell(words, command).returncode == 0
    assert Path(staging).stat().st_mode & 0o777 == 0o700

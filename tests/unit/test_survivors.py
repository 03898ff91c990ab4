"""A host gives the data that it holds by a throw-away etcd over a copy; the data itself is only read."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from etcd_steward import survivors
from etcd_steward.errors import Complaint
from etcd_steward.plan import Plan
from etcd_steward.restored import counted_again
from etcd_steward.shell import script
from etcd_steward.snapshots import Manifest, Restored, differences
from etcd_steward.survivors import Log, give, logs, name_furthest, releases_for
from etcd_steward.versions import Version
from etcd_steward.wal import agreed, read_end
from tests.engine.fakes import World
from tests.unit.test_restoring import LINE, N1, N2, stopped

WAL = gzip.decompress((Path(__file__).parents[1] / "data/wal-3.5.30.gz").read_bytes())
END = read_end([WAL])
NAME = "0000000000000000-0000000000000000.wal"

# As much of etcd as the script needs: it reads its log, serves until it is ended, and writes its database then.
ETCD = """#!/bin/sh
[ "$1" != --version ] || { echo "etcd Version: $(basename "$(dirname "$0")")"; exit; }
here=$(readlink -f "$0")
echo "$*" >>"$(dirname "$here")/started"
sha256sum data/member/wal/*.wal | cut -d ' ' -f 1 >>"$(dirname "$here")/started"
[ ! -e "$(dirname "$here")/crashes" ] || { echo 'panic: unmarshal should never fail' >&2; echo '  x.go:1' >&2; exit 2; }
trap 'printf "%4096s" "applied" >data/member/snap/db; exit' TERM
touch ready
n=0
while [ $n -lt 6000 ]; do sleep 0.1; n=$((n + 1)); done
"""
ETCDCTL = """#!/bin/sh
case $* in
  *endpoint?status*) [ -e ready ] || exit 1
    echo '[{"Endpoint":"unix://client:1","Status":{"header":{"revision":33},"version":"3.5.30","leader":7}}]' ;;
  *hashkv*) echo '[{"HashKV":{"hash":42,"compact_revision":-1}}]' ;;
  *get*) echo '{"header":{"revision":33},"count":32}' ;;
  *snapshot?status*) echo '{"hash":1,"revision":33,"totalKey":40}' ;;
esac
"""


@pytest.fixture
def host(tmp_path):
    """Lay out a data folder and two releases; the first one does not start from the data."""
    for name, text in (("etcd", ETCD), ("etcdctl", ETCDCTL)):
        for release in ("3.7.3", "3.5.30"):
            path = tmp_path / release / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
    (tmp_path / "3.7.3/crashes").touch()
    data = tmp_path / "data/member"
    (data / "snap").mkdir(parents=True)
    (data / "wal").mkdir()
    (data / "snap/db").write_bytes(b"as it was")
    (data / "snap/0000000000000002-000000000000000a.snap").write_bytes(b"raft")
    (data / "wal" / NAME).write_bytes(WAL)
    return tmp_path


def asked(host, *, releases=("3.7.3", "3.5.30"), **more):
    values = {
        "bin_dir": "/nonexistent", "ca": "", "cert": "", "key": "", "user": "", "endpoint": "https://127.0.0.1:1",
        "folder": str(host / "snaps"), "data_dir": str(host / "data"), "cluster": "etcd", "member": "n1",
        "quorum": "no", "spare_mb": 0, "keep": 12, "days": 30, "hours": 6, "command": "",
        "log": str(host / "data/member/wal"), "segment": NAME, "position": END.position,
        "sum": hashlib.sha256(WAL[: END.position]).hexdigest(),
        "record": "".join(f"\\{byte:03o}" for byte in agreed(END)),
        "releases": [str(host / one) for one in releases], "cluster_id": "aa" * 8, "member_id": "bb" * 8,
        "arch": "", "seconds": 500, "file": "", "sha256": "", **more,
    }  # fmt: skip
    text = script("ctl.sh", "snapshot.sh", "drill.sh", "survivor.sh", **values) + "\ngive restore || :\n"
    done = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=False, timeout=900)
    return done.stdout.splitlines()


def lying(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_is_read_with_all_of_its_log_and_the_original_is_left_as_it_was(host):
    before = lying(host / "data")
    (line,) = asked(host)
    manifest = Manifest.read(line.removeprefix("taken "))
    assert (manifest.revision, manifest.keys, manifest.hash, manifest.origin) == (33, 32, 42, "restore")
    assert (manifest.cluster_id, manifest.version) == ("aa" * 8, "3.5.30")
    assert lying(host / "data") == before
    found = (host / "snaps" / manifest.file).read_bytes()
    assert found[-32:] == hashlib.sha256(found[:-32]).digest(), "sealed as etcdctl does it"
    assert found[:-32].endswith(b"applied")
    assert manifest.sha256 == hashlib.sha256(found).hexdigest()
    words, log = (host / "3.5.30/started").read_text().splitlines()
    assert "--force-new-cluster" in words
    assert not re.findall(r"https?://", words), "it listens on sockets alone"
    assert log == hashlib.sha256(WAL[: END.position] + agreed(END)).hexdigest()
    left = {path.name for path in (host / "snaps").iterdir() if not path.name.startswith(".lock")}
    assert left == {manifest.file, manifest.file.replace(".db", ".json")}


def test_where_no_release_starts_from_it_all_their_reasons_are_told_and_nothing_is_left(host):
    (host / "3.5.30/crashes").touch()
    (line,) = asked(host)
    assert "3.7.3: found no etcd running on it" in line
    assert "panic: unmarshal should never fail" in line
    assert "3.5.30: found no etcd" in line
    assert [path.name for path in (host / "snaps").iterdir() if not path.name.startswith(".lock")] == []


def test_a_log_that_went_on_or_a_database_that_is_written_to_is_not_copied(host):
    (host / "data/member/wal" / NAME).write_bytes(b"\xff" + WAL[1:])
    (line,) = asked(host)
    assert line.startswith("failed found that the log")
    (host / "data/member/wal" / NAME).write_bytes(WAL)
    bin_dir = host / "tools"
    bin_dir.mkdir()
    (bin_dir / "cp").write_text('#!/bin/sh\n/bin/cp "$@"; printf x >>"$1"\n')
    (bin_dir / "cp").chmod(0o755)
    (line,) = asked(host, PATH=f"{bin_dir}:/usr/bin:/bin")
    assert "was written to while it was copied" in line


def test_a_disk_without_room_for_a_copy_is_refused_before_anything_is_written(host):
    (line,) = asked(host, spare_mb=1 << 40)
    assert "MB for a copy of the data" in line
    assert not (host / "3.7.3/started").exists()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def test_all_releases_on_a_host_are_tried_the_one_that_it_runs_first(world):
    sight = stopped(world)
    member = sight.cluster.members[0]
    state = replace(sight.hosts[N1], releases=dict.fromkeys(["3.6.16", "3.7.3", "3.10.0", "odd"], "ab"))
    tried = releases_for(member, state, Version(3, 7, 3))
    assert [one.rpartition("/")[2] for one in tried] == ["3.7.3", "3.10.0", "3.6.16"]


def test_logs_are_read_on_every_host_with_data_and_why_one_could_not_be_is_told(world, monkeypatch):
    sight = stopped(world)

    def ask(_run, host, _question):
        return [] if host == N2 else ["0.tmp", NAME, "end"]

    monkeypatch.setattr(survivors, "ask", ask)
    monkeypatch.setattr(survivors, "download", lambda _run, _host, _path, file: file.write(WAL))
    run = SimpleNamespace(hosts=dict.fromkeys(sight.hosts))
    known, unread = logs(run, sight)
    assert sorted(known) == ["@fake/n1", "@fake/n3"]
    assert known[N1] == Log(NAME, END, hashlib.sha256(WAL[: END.position]).hexdigest())
    assert list(unread) == [N2]
    member = sight.cluster.members[1]
    taken = give(run, "etcd", member, sight.hosts[N2], ["/x"], Version(3, 5, 34))
    assert taken.manifest is None
    assert "no list of" in taken.problem


def test_keys_that_nobody_could_count_are_not_compared():
    manifest = Manifest.read(json.dumps({**json.loads(LINE), "keys": None}))
    restored = Restored("3.5.33", 9, 4, 1, 1)
    wrong, untold = differences(manifest, restored)
    assert (wrong, len(untold)) == ([], 1)
    assert counted_again("keys 4", None, 9)[0] == ""


def test_a_refusal_that_leads_to_a_restore_from_a_host_names_the_furthest(world, monkeypatch):
    sight = stopped(world)
    ends = {host: replace(END, index=index) for host, index in (("@fake/n1", 7), ("@fake/n2", 9))}
    monkeypatch.setattr(
        survivors, "logs", lambda *_: ({host: Log(NAME, end, "") for host, end in ends.items()}, {})
    )
    other = Complaint("n3", "something", "else", "look")
    way = Complaint("etcd", "data", "more", "run deploys/restore.py --data etcd_snapshot=from:@fake/n1")
    plan = name_furthest(None, sight, Plan({}, (other, way)))
    assert plan.refusals[0] == other
    assert plan.refusals[1].next == "run deploys/restore.py --data etcd_snapshot=from:@fake/n2"
    assert "@fake/n2: term 2, index 9 (furthest), @fake/n1: term 2, index 7" in plan.refusals[1].found
    assert name_furthest(None, sight, Plan({}, (other,))) == Plan({}, (other,)), "nobody is asked for nothing"

"""Which snapshot is tried, out of what the hosts and the controller tell of theirs."""

import hashlib
import json
import subprocess
from dataclasses import replace

import pytest

from etcd_steward import drilling
from etcd_steward.drilling import Trial, choose_trial, known_id, listing
from etcd_steward.snapshots import Manifest
from etcd_steward.verbs import drill
from tests.engine.fakes import World, run_deploy
from tests.unit.test_restoring import HOSTS, LINE, N1, N2, Run, configured, lost


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def line(**changes):
    return json.dumps({**json.loads(LINE), **changes})


def told(monkeypatch, **lists):
    """Let hosts tell of their snapshots; a name without any is of a host whose listing fails."""
    lists = {f"@fake/{name}": lines for name, lines in lists.items()}
    monkeypatch.setattr(drilling, "ask", lambda _run, host, _question, *_more: lists.get(host, ["end"]))


def nowhere(sight, tmp_path, **settings):
    return configured(sight, etcd_backup_dir=str(tmp_path), **settings)


def test_without_a_quorum_the_newest_is_of_the_cluster_that_the_records_name_whatever_a_clock_said(
    world, tmp_path, monkeypatch
):
    own = line(file="etcd-n1-own-r5000.db", cluster_id=world.record.id, revision=5000, seconds=1790000000)
    earlier = line(file="etcd-n1-earlier-r9.db", cluster_id="bb" * 8, revision=9, seconds=1890000000)
    told(monkeypatch, n1=[own, earlier, "end"])
    trial, complaints = choose_trial(Run(), nowhere(lost(world), tmp_path), set(HOSTS), bare=True)
    assert not complaints
    assert trial.manifest.file == "etcd-n1-own-r5000.db"


def test_the_cluster_is_known_by_what_answers_then_by_the_controller_then_by_hosts_that_agree(world):
    sight, record = lost(world), world.record
    other = replace(record, id="bb" * 8)
    assert known_id(replace(world.sight(), records={N1: other})) == record.id
    assert known_id(replace(sight, records={"the controller": record, N1: other})) == record.id
    assert known_id(replace(sight, records={N1: record, N2: record})) == record.id
    assert known_id(replace(sight, records={N1: record, N2: other})) is None
    assert known_id(replace(sight, records={N1: replace(record, open=True)})) is None
    assert known_id(configured(replace(sight, records={N1: record}), etcd_forget_cluster=record.id)) is None


@pytest.mark.parametrize("bare", [True, False], ids=["restore", "drill"])
def test_a_host_whose_list_of_snapshots_is_not_whole_hides_no_newer_one(world, tmp_path, monkeypatch, bare):
    older = line(file="older.db", cluster_id=world.record.id)
    newer = line(file="newer.db", cluster_id=world.record.id, revision=10)
    sight = nowhere(lost(world), tmp_path)
    for unfinished in ([], [newer]):
        told(monkeypatch, n1=[older, "end"], n2=unfinished)
        trial, (complaint,) = choose_trial(Run(), sight, set(HOSTS), bare=bare)
        assert trial is None
        assert str(complaint).startswith(f"{N2}: found no whole list of the snapshots in /var/lib/etcd-snap")
        # Whoever names the file means it.
        trial, complaints = choose_trial(
            Run(), configured(sight, etcd_snapshot="older.db"), set(HOSTS), bare=bare
        )
        assert (trial.manifest.file, complaints) == ("older.db", [])
    trial, (complaint,) = choose_trial(
        Run(), configured(sight, etcd_snapshot="other.db"), set(HOSTS), bare=bare
    )
    assert N2 in str(complaint)


def test_a_host_out_of_reach_forbids_no_drill_and_is_told(tmp_path, monkeypatch):
    world = World(tmp_path / "controller", etcd_backup_dir=str(tmp_path / "backups"))
    told(monkeypatch, n1=[line(cluster_id=world.record.id), "end"])
    world.hosts[N2].reachable = False
    result = run_deploy(world.hosts, drill, mode="dry")
    assert result.refused == ""
    assert "@fake/n2 gives no answer, so its snapshots are not looked at" in result.log


def listed(folder, **more):
    command = ["sh", "-c", listing(str(folder)) + ""]
    told = subprocess.run(command, capture_output=True, text=True, check=False, **more).stdout
    return [line for line in told.splitlines() if line]


def test_a_list_of_snapshots_ends_with_a_line_of_its_own_only_where_all_were_read(tmp_path):
    folder = tmp_path / "snap shots"
    assert listed(folder) == ["end"]
    folder.mkdir()
    assert listed(folder) == ["end"]
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(name)
    (folder / "a.db").touch()
    assert listed(folder) == ["a", "end"]
    (tmp_path / "head").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "head").chmod(0o755)
    assert listed(folder, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}) == []
    (tmp_path / "ls").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "ls").chmod(0o755)
    (tmp_path / "head").unlink()
    assert listed(folder, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}) == []


def tried(world, monkeypatch, linked):
    """Drill on hosts of 64-bit ARM whose links name a release; give what was asked of the throw-away etcd."""
    told(monkeypatch, n1=[line(cluster_id=world.record.id), "end"])
    for host in world.hosts.values():
        host.lines = [
            text.replace(str(world.version), linked) if text.startswith("link ") else text
            for text in host.lines
            if not text.startswith("machine ")
        ]
        host.lines.insert(1, "machine aarch64")
    asked = []
    answers = drilling.ask

    def ask(run, host, question, *more):
        if question.label == "drill":
            asked.append(question + "")
        return answers(run, host, question, *more)

    monkeypatch.setattr(drilling, "ask", ask)
    run_deploy(world.hosts, drill)
    (question,) = asked
    return next(text for text in question.splitlines() if text.startswith("arch="))


@pytest.mark.parametrize(
    ("wanted", "linked", "arch"),
    [("3.5.33", "3.4.37", "arch=arm64"), ("3.4.37", "3.5.33", "arch=''")],
)
def test_the_release_that_tries_a_snapshot_decides_what_it_must_be_told_to_run_on_arm(
    tmp_path, monkeypatch, wanted, linked, arch
):
    world = World(tmp_path / "controller", etcd_backup_dir=str(tmp_path / "backups"), etcd_version=wanted)
    assert tried(world, monkeypatch, linked) == arch


def test_without_a_link_of_ours_the_snapshots_own_release_is_taken_for_the_one_that_tries_it(world):
    def trial(version):
        return Trial(Manifest.read(line(version=version)), world.cluster.members[0], "/a.db", here=False)

    assert str(drilling._likely(trial("3.4.37"))) == "3.4.37"
    assert str(drilling._likely(trial("3.6.0-rc.1"))) == world.cluster.settings.etcd_version


def chosen(sight, **settings):
    return choose_trial(Run(), configured(sight, **settings), set(HOSTS), bare=True)


def test_d9_a_host_tells_of_its_own_snapshots_alone_unless_one_is_named(world, tmp_path, monkeypatch):
    sight = nowhere(lost(world), tmp_path)
    good = line(file="etcd-n1-r9.db", cluster_id=world.record.id, sha256="11" * 32)
    false = line(file="etcd-n1-r9.db", cluster_id=world.record.id, sha256="22" * 32)
    alone = line(file="etcd-n1-r10.db", cluster_id=world.record.id, revision=10)
    former = line(file="etcd-old-r8.db", cluster_id=world.record.id, revision=8, member="old")
    for lists in (
        {"n1": [good, "end"], "n3": [false, alone, "end"]},
        {"n2": [false, "end"], "n1": [good, "end"]},
    ):
        told(monkeypatch, **lists)
        trial, _ = chosen(sight)
        assert (trial.manifest.sha256, trial.member.host) == ("11" * 32, N1)
        trial, _ = chosen(sight, etcd_snapshot="etcd-n1-r9.db")
        assert (trial.manifest.sha256, trial.member.host) == ("11" * 32, N1)
    told(monkeypatch, n3=[alone, former, "end"])
    assert chosen(sight)[0].manifest.file == "etcd-old-r8.db"
    # What an operator saved from a lost disk lies on another host, and is named.
    assert chosen(sight, etcd_snapshot="etcd-n1-r10.db")[0].manifest.file == "etcd-n1-r10.db"


def test_d9_the_controllers_good_copy_is_not_replaced_by_a_hosts_word(world, tmp_path, monkeypatch):
    content = bytes(512) + hashlib.sha256(bytes(512)).digest()
    here = line(
        file="etcd-n1-r9.db",
        cluster_id=world.record.id,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )
    copy = tmp_path / "etcd" / "etcd-n1-r9.db"
    copy.parent.mkdir()
    copy.write_bytes(content)
    copy.with_suffix(".json").write_text(here)
    false = line(file="etcd-n1-r9.db", cluster_id=world.record.id, sha256="22" * 32)
    told(monkeypatch, n1=[false, "end"])
    sight = nowhere(lost(world), tmp_path)
    trial, _ = chosen(sight)
    assert (trial.here, trial.manifest.line) == (True, here)
    # A copy that is no longer what was kept gives way to the host's, where that is the same snapshot.
    copy.write_bytes(b"rotten")
    trial, (complaint,) = chosen(sight)
    assert trial is None
    assert str(copy) in complaint.found
    told(monkeypatch, n1=[here, "end"])
    trial, _ = chosen(sight)
    assert (trial.here, trial.member.host) == (False, N1)


def test_d9_a_newest_with_a_revision_far_beyond_the_others_is_refused_and_may_be_named(
    world, tmp_path, monkeypatch
):
    sight = nowhere(lost(world), tmp_path)
    good = line(file="etcd-n1-r9.db", cluster_id=world.record.id)
    false = line(file=f"etcd-n2-r{10**15}.db", cluster_id=world.record.id, revision=10**15, member="n2")
    told(monkeypatch, n1=[good, "end"], n2=[false, "end"])
    trial, (complaint,) = chosen(sight)
    assert trial is None
    assert f"etcd-n2-r{10**15}.db" in complaint.found
    assert "etcd_snapshot=FILE" in complaint.next
    assert chosen(sight, etcd_snapshot="etcd-n1-r9.db")[0].manifest.file == "etcd-n1-r9.db"

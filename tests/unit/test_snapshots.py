"""Manifests, retention, freshness, and who gives a snapshot."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from etcd_steward import backing_up, backups, snapshot_report
from etcd_steward.observed import Endpoint, HostState, ScheduleState, Service
from etcd_steward.schedule import job_script, schedule
from etcd_steward.settings import Settings
from etcd_steward.shell import script
from etcd_steward.snapshots import (
    AHEAD_OF_MEMBERS,
    NEVER_PRUNED,
    Manifest,
    Restored,
    age,
    beyond,
    choose,
    differences,
    freshness,
    newest,
    prunable,
)
from etcd_steward.topology import Cluster, Member

NOW = 1_790_000_000
DAY, HOUR = 86400, 3600


def line(**more: Any) -> str:
    value = {
        "written by": "etcd-steward",
        "file": "pi-n1-20260921T000000Z-r10.db",
        "sha256": "a" * 64,
        "size": 20512,
        "revision": 10,
        "keys": 5,
        "hash": 4711,
        "compact_revision": -1,
        "total_keys": 12,
        "cluster": "pi",
        "cluster_id": "d341e4eddb524c65",
        "member": "n1",
        "member_id": "3e92a50b89a6d981",
        "version": "3.5.1",
        "time": "2026-09-21T00:00:00Z",
        "seconds": NOW,
        "origin": "scheduled",
    }
    return json.dumps(value | more, separators=(",", ":"))


def manifest(**more: Any) -> Manifest:
    found = Manifest.read(line(**more))
    assert found is not None
    return found


@st.composite
def folders(draw: st.DrawFn) -> list[Manifest]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["00000000000000aa", "00000000000000bb"]),
                st.integers(1, 12),
                st.integers(-40 * DAY, 40 * DAY),
            ),
            max_size=9,
        )
    )
    return [
        manifest(
            file=f"pi-n{number}-r{revision}.db", cluster_id=identity, revision=revision, seconds=NOW - old
        )
        for number, (identity, revision, old) in enumerate(drawn)
    ]


@given(folders(), st.integers(3, 8), st.integers(1, 60))
def test_the_newest_three_by_revision_of_each_cluster_are_never_pruned(
    found: list[Manifest], keep: int, days: int
) -> None:
    gone = prunable(found, NOW, keep, days)
    for one in gone:
        better = [
            other for other in found if other.cluster_id == one.cluster_id and other.revision >= one.revision
        ]
        assert len(better) > NEVER_PRUNED
    for identity in {one.cluster_id for one in found}:
        own = [one for one in found if one.cluster_id == identity]
        assert newest(own) not in gone
        assert len([one for one in own if one not in gone]) >= min(NEVER_PRUNED, len(own))


@given(folders(), st.integers(3, 8), st.integers(1, 60))
def test_what_is_kept_beyond_those_is_neither_too_many_nor_too_old(
    found: list[Manifest], keep: int, days: int
) -> None:
    gone = prunable(found, NOW, keep, days)
    for identity in {one.cluster_id for one in found}:
        left = sorted(
            (one for one in found if one.cluster_id == identity and one not in gone),
            key=lambda one: (one.revision, one.seconds, one.file.removesuffix(".db")),
            reverse=True,
        )
        assert len(left) <= keep
        assert all(NOW - one.seconds <= days * DAY for one in left[NEVER_PRUNED:])


def pruned_by_the_host(folder: Path, keep: int, days: int, now: int) -> list[str]:
    text = script("ctl.sh", "snapshot.sh", folder=str(folder), keep=keep, days=days, hours=6)
    told = subprocess.run(
        ["sh", "-c", f"{text + ''}\ndate() {{ echo {now}; }}\nprune"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    return [word.removeprefix("pruned ") for word in told.stdout.splitlines()]


@effort(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=folders(), keep=st.integers(3, 8), days=st.integers(1, 60))
def test_the_script_on_the_hosts_prunes_exactly_what_the_controller_would(
    tmp_path_factory: pytest.TempPathFactory, found: list[Manifest], keep: int, days: int
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for one in found:
        (folder / one.file).write_text("")
        (folder / one.file).with_suffix(".json").write_text(one.line + "\n")
    wanted = sorted(one.file for one in prunable(found, NOW, keep, days))
    assert sorted(pruned_by_the_host(folder, keep, days, NOW)) == wanted
    left = {path.name for path in folder.glob("*.db")}
    assert left == {one.file for one in found} - set(wanted)


def test_f22_pruning_touches_no_file_that_no_manifest_of_ours_names(tmp_path: Path) -> None:
    for number in range(8):
        name = f"pi-n1-r{number}"
        (tmp_path / f"{name}.db").write_text("")
        (tmp_path / f"{name}.json").write_text(line(file=f"{name}.db", revision=number) + "\n")
    foreign = {
        "mine.db": "",
        "other.db": "",
        "other.json": line(file="other.db").replace("etcd-steward", "somebody"),
        "liar.db": "",
        "liar.json": line(file="mine.db", revision=0),
        "up.db": "",
        "up.json": line(file="../up.db", revision=0),
        "with space.db": "",
        "with space.json": line(file="with space.db", revision=0),
        "broken.db": "",
        "broken.json": "{",
        "lonely.json": line(file="lonely.db", revision=0),
    }
    for name, content in foreign.items():
        (tmp_path / name).write_text(content + "\n")
    assert sorted(pruned_by_the_host(tmp_path, 3, 1, NOW)) == [f"pi-n1-r{number}.db" for number in range(5)]
    assert {path.name for path in tmp_path.iterdir()} == foreign.keys() | {
        f"pi-n1-r{number}.{kind}" for number in (5, 6, 7) for kind in ("db", "json")
    }


def is_due(folder: Path, answer: str, *found: Manifest) -> bool:
    for one in found:
        (folder / one.file).write_text("")
        (folder / one.file).with_suffix(".json").write_text(one.line + "\n")
    text = script("ctl.sh", "snapshot.sh", folder=str(folder), keep=12, days=30, hours=6, endpoint="")
    status = f"ctl() {{ answer='{answer}' said='a warning'; }}\ndate() {{ echo {NOW}; }}\ndue"
    done = subprocess.run(["sh", "-c", f"{text + ''}\n{status}"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")
    return done.returncode == 0


# 15222699925726973029 is d341e4eddb524c65, beyond what fits a signed number.
OWN = '[{"Status":{"header":{"cluster_id":15222699925726973029,"member_id":1}}}]'


@pytest.mark.parametrize(
    ("answer", "more", "due"),
    [
        (OWN, {"seconds": NOW - 5 * HOUR}, False),
        (OWN, {"seconds": NOW - 6 * HOUR}, True),
        (OWN, {"seconds": NOW + HOUR}, True),
        (OWN, {"seconds": NOW - HOUR, "cluster_id": "00000000000000aa"}, True),
        ("connection refused", {"seconds": NOW - HOUR, "cluster_id": "00000000000000aa"}, False),
    ],
)
def test_one_is_due_when_the_newest_of_this_cluster_is_old_and_a_wrong_clock_proves_nothing(
    tmp_path: Path, answer: str, more: dict[str, Any], due: bool
) -> None:
    assert is_due(tmp_path, answer, manifest(**more)) == due


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[]",
        "null",
        line(file="../../etc/passwd"),
        line(file=".hidden.db"),
        line(**{"written by": "somebody"}),
        line(revision="many"),
        json.dumps({"written by": "etcd-steward"}),
    ],
)
def test_what_is_no_manifest_of_ours_is_passed_over(told: str) -> None:
    assert Manifest.read(told) is None


def test_newest_means_the_highest_revision_whatever_the_clocks_say() -> None:
    behind = manifest(revision=9, seconds=NOW + DAY, file="a.db")
    ahead = manifest(revision=10, seconds=NOW - DAY, file="b.db")
    assert choose([behind, ahead], "newest", behind.cluster_id) == ahead


def test_newest_is_of_this_cluster_and_not_of_an_earlier_life_with_more_revisions() -> None:
    earlier = manifest(cluster_id="00000000000000aa", revision=999, seconds=NOW - DAY, file="a.db")
    now = manifest(cluster_id="00000000000000bb", revision=3, seconds=NOW, file="b.db")
    assert choose([earlier, now], "newest", "00000000000000bb") == now
    assert choose([earlier, now], "newest", None) == now
    assert choose([earlier, now], "/srv/a.db", None) == earlier
    assert choose([earlier], "newest", "00000000000000bb") is None


@pytest.mark.parametrize(
    ("latest", "since", "word"),
    [
        (None, NOW - HOUR, "waiting"),
        (None, NOW - 3 * HOUR, "none"),
        (None, NOW + HOUR, "none"),
        (None, None, "none"),
        (NOW - 7 * HOUR, NOW - 90 * DAY, "fresh"),
        (NOW - 9 * HOUR, NOW - 90 * DAY, "old"),
        # Written anew by a change of settings, a schedule excuses no old snapshot.
        (NOW - 9 * HOUR, NOW, "old"),
        (NOW + 1, NOW, "clock"),
    ],
)
def test_f21_a_backup_that_died_silently_is_found_and_a_new_one_gets_its_grace(
    latest: int | None, since: int | None, word: str
) -> None:
    assert freshness(latest, NOW, 6, since).word == word


def test_a_negative_age_is_shown_as_a_matter_of_the_clock_and_not_as_fresh() -> None:
    assert age(-1) == "clock"
    assert [age(0), age(59 * 60), age(3 * HOUR), age(3 * DAY)] == ["0 min", "59 min", "3 h", "3 d"]


TRUE = Restored("3.5.1", 10, 5, 4711, -1)


@pytest.mark.parametrize(
    ("restored", "wrong", "untold"),
    [
        (TRUE, 0, 0),
        (replace(TRUE, revision=11), 1, 0),
        (replace(TRUE, keys=4), 1, 0),
        (replace(TRUE, hash=1), 1, 0),
        (replace(TRUE, hash=1, compact_revision=3), 0, 1),
        (replace(TRUE, hash=1, version="3.5.30"), 0, 1),
        (replace(TRUE, hash=None), 0, 1),
        (replace(TRUE, keys=None), 0, 1),
    ],
)
def test_a_drill_is_red_where_the_restored_keys_differ_and_says_what_it_could_not_compare(
    restored: Restored, wrong: int, untold: int
) -> None:
    found = differences(manifest(), restored)
    assert (len(found[0]), len(found[1])) == (wrong, untold)


def cluster(**settings: Any) -> Cluster:
    own = Settings(**settings)
    members = tuple(
        Member(f"h{number}", f"n{number}", f"192.0.2.{number}", f"192.0.2.{number}", own)
        for number in (1, 2, 3)
    )
    return Cluster("pi", members)


def host(name: str, identity: int, applied: int, *, healthy: bool = True, **more: Any) -> HostState:
    status = {"header": {"member_id": identity}, "leader": 1, "raftAppliedIndex": applied}
    endpoint = Endpoint(healthy=healthy, status=status, error="" if healthy else "no leader")
    return HostState(name, reached=True, uid=0, now=NOW, endpoint=endpoint, **more)


def sight(*states: HostState, **settings: Any) -> Any:
    return SimpleNamespace(cluster=cluster(**settings), hosts={state.host: state for state in states})


def test_f24_one_caught_up_follower_gives_the_snapshot_and_not_the_leader() -> None:
    seen = sight(host("h1", 1, 90_000), host("h2", 2, 5), host("h3", 3, 89_990))
    member, complaints = backing_up.giver(seen, {"h1", "h2", "h3"})
    assert (member.name if member else None, complaints) == ("n3", [])


def test_the_leader_gives_it_where_it_alone_is_healthy() -> None:
    seen = sight(host("h1", 1, 9), host("h2", 2, 9, healthy=False), HostState("h3"))
    member, _ = backing_up.giver(seen, {"h1", "h2", "h3"})
    assert member is not None
    assert member.name == "n1"


def test_without_a_healthy_member_inside_the_limit_the_backup_refuses_and_says_why() -> None:
    seen = sight(host("h1", 1, 9), host("h2", 2, 9, healthy=False), HostState("h3", problem="gone"))
    member, (complaint,) = backing_up.giver(seen, {"h2", "h3"})
    assert member is None
    assert "h2: no leader" in complaint.found
    assert "h3: gone" in complaint.found


def whole(seed: int, pages: int = 2) -> bytes:
    """Make what has the shape of a snapshot: pages, and the digest that etcdctl appends."""
    body = bytes([seed]) * 512 * pages
    return body + hashlib.sha256(body).digest()


def true(content: bytes, **more: Any) -> Manifest:
    """Make the manifest that fits a content."""
    return manifest(**{"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} | more)


@given(
    kept=st.sampled_from(["nothing", "the same", "another", "damaged", "without a manifest"]),
    came=st.sampled_from([whole(1), whole(2), whole(1, 3), b"", b"four", whole(1)[:-32], whole(1)[32:]]),
    told=st.fixed_dictionaries(
        {},
        optional={
            "sha256": st.sampled_from([hashlib.sha256(one).hexdigest() for one in (whole(2), b"four")]),
            "size": st.integers(0, 3000),
            "file": st.sampled_from(["pi-n2-r10.db", "etcd-n1-r10.db", "pi-n1-r11.db", "pi-n1-r10.db.json"]),
            "revision": st.integers(-1, 2**70),
            "member": st.sampled_from(["n1", "n2"]),
            "cluster": st.sampled_from(["pi", "etcd"]),
        },
    ),
)
@effort(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_d9_whatever_a_host_tells_and_gives_a_good_copy_stays_and_only_what_is_whole_is_kept(
    tmp_path_factory: pytest.TempPathFactory, kept: str, came: bytes, told: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("controller") / "backups" / "pi"
    before = whole(9 if kept in {"another", "without a manifest"} else 1)
    if kept != "nothing":
        place = backups.keep(folder, true(before), lambda file: file.write(before))
        if kept == "without a manifest":
            place.with_suffix(".json").unlink()
        if kept == "damaged":
            place.write_bytes(b"rotten")
    claim = true(whole(1), **told)
    try:
        path = backups.keep(folder, claim, lambda file: file.write(came))
    except ValueError:
        pass
    else:
        assert backups.unlike(path, claim) == ""
        assert path.name == claim.file
        assert claim.file.startswith(f"{claim.cluster}-{claim.member}-")
    for one in backups.kept(folder):
        if not (kept == "damaged" and one.file == true(whole(1)).file):
            assert backups.unlike(folder / one.file, one) == ""
    if kept != "nothing":
        left = [path.read_bytes() for path in folder.glob(f"{true(before).file}*")]
        assert (b"rotten" if kept == "damaged" else before) in left


def test_d9_a_copy_that_is_here_already_is_not_fetched_again(tmp_path: Path) -> None:
    folder = tmp_path / "backups" / "pi"
    path = backups.keep(folder, true(whole(1)), lambda file: file.write(whole(1)))
    assert backups.keep(folder, true(whole(1)), lambda _file: pytest.fail("it was fetched")) == path


def test_d9_a_revision_far_beyond_what_the_others_tell_is_not_believed() -> None:
    assert beyond(manifest(revision=10**15), [41, 42], AHEAD_OF_MEMBERS)
    assert not beyond(manifest(revision=10**15), [], AHEAD_OF_MEMBERS)
    assert not beyond(manifest(revision=42 + AHEAD_OF_MEMBERS), [42, 41], AHEAD_OF_MEMBERS)


def test_a_copy_that_came_over_wrong_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "backups" / "pi"
    for came in (b"half", whole(1)[:-1], whole(2)):
        with pytest.raises(ValueError, match="run again, and look at the disk"):
            backups.keep(folder, true(whole(1)), lambda file, came=came: file.write(came))
        assert [one.name for one in folder.iterdir()] == [".gitignore"]


def test_copies_on_the_controller_are_readable_by_nobody_else_and_stay_out_of_git(tmp_path: Path) -> None:
    folder = tmp_path / "backups" / "pi"
    right = true(whole(1))
    path = backups.keep(folder, right, lambda file: file.write(whole(1)))
    assert path.read_bytes() == whole(1)
    assert [one.stat().st_mode & 0o777 for one in (folder.parent, folder)] == [0o700, 0o700]
    assert {one.stat().st_mode & 0o777 for one in folder.glob("pi-*")} == {0o600}
    assert (folder.parent / ".gitignore").read_text() == "*\n"
    assert backups.kept(folder) == [right]


def copies(folder: Path, count: int) -> list[Manifest]:
    found = [manifest(file=f"pi-n1-r{number}.db", revision=number) for number in range(count)]
    for one in found:
        (folder / one.file).write_text("")
        (folder / one.file).with_suffix(".json").write_text(one.line + "\n")
    return found


def test_a_copy_of_a_manifest_neither_counts_nor_keeps_the_controller_from_pruning(tmp_path: Path) -> None:
    oldest, *newer = copies(tmp_path, 4)
    (tmp_path / "pi-n1-r0 (copy).json").write_text(oldest.line)
    (tmp_path / "noted.json").write_text(newer[-1].line)
    assert sorted(one.file for one in backups.kept(tmp_path)) == [one.file for one in (oldest, *newer)]
    assert backups.prune(tmp_path, Settings(etcd_snapshot_keep=3)) == [oldest.file]
    assert backups.kept(tmp_path) == newer


def test_a_copy_that_another_run_has_just_pruned_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = copies(tmp_path, 4)
    monkeypatch.setattr(backups, "kept", lambda _folder: found)
    for left in tmp_path.glob("pi-n1-r0.*"):
        left.unlink()
    assert backups.prune(tmp_path, Settings(etcd_snapshot_keep=3)) == [found[0].file]


@pytest.mark.parametrize("pattern", ["n{}", "etcd-{}", "pi-{}.example.org", "10-0-0-{}"])
def test_the_members_take_their_snapshots_at_different_minutes(pattern: str) -> None:
    members = [replace(cluster().members[0], name=pattern.format(number)) for number in range(1, 12)]
    minutes = {schedule(cluster(), member, "openrc").line.split()[0] for member in members}
    assert len(minutes) == len(members)


@pytest.mark.parametrize("init", ["openrc", "systemd"])
def test_a_members_schedule_is_the_same_whoever_else_is_a_member(init: str) -> None:
    few, (first, *_) = replace(cluster(), members=cluster().members[:1]), cluster().members
    assert schedule(few, first, init) == schedule(cluster(), first, init)
    (minute,) = re.findall(
        r"^(?:OnCalendar=\*-\*-\* \*:)?([0-5]?[0-9])[ :]", _starts(first, init), re.MULTILINE
    )
    assert 0 <= int(minute) < 60


def _starts(member: Member, init: str) -> str:
    wanted = schedule(cluster(), member, init)
    return wanted.line or wanted.files[2].content


def test_a_schedule_lacks_nothing_only_while_it_runs_and_its_files_are_as_they_should_be() -> None:
    wanted = schedule(cluster(), cluster().members[0], "openrc")
    bare = HostState("h1")
    assert wanted.lacking(bare) == [wanted.files[0].path, "/etc/crontabs/root", "enabled", "active"]
    own = replace(cluster().members[0], settings=Settings(etcd_snapshots=False))
    off = schedule(cluster(), own, "openrc")
    assert off.lacking(bare) == []
    assert off.lacking(replace(bare, schedule=ScheduleState(line="7 * * * *"))) == ["disabled"]


def test_the_job_is_valid_shell_and_holds_every_value_quoted() -> None:
    own = replace(
        cluster().members[0], settings=Settings(etcd_snapshot_command='echo "it\'s" $ETCD_SNAPSHOT')
    )
    done = subprocess.run(
        ["sh", "-n"], input=job_script("pi", own) + "", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


SCHEDULED = {
    "schedule": ScheduleState(since=NOW - 9 * DAY, enabled=True, active=True),
    "service": Service(exists=True),
}


def test_status_names_the_host_whose_snapshots_are_old_or_not_scheduled() -> None:
    fresh, old = manifest(seconds=NOW - HOUR), manifest(seconds=NOW - DAY)
    seen = sight(
        host("h1", 1, 9, snapshots=(old, fresh), **SCHEDULED),
        host("h2", 2, 9, snapshots=(old,), **SCHEDULED),
        host("h3", 3, 9, service=Service(exists=True)),
    )
    found = {complaint.host: complaint.found for complaint in snapshot_report.on_hosts(seen)}
    assert found == {"h2": "the newest snapshot 24 h old", "h3": "no schedule of snapshots"}
    assert snapshot_report.on_hosts(sight(*seen.hosts.values(), etcd_snapshots=False)) == []


def test_an_old_copy_on_the_controller_is_only_a_note_and_none_at_all_is_no_fault() -> None:
    seen = sight(etcd_snapshot_days=7)
    now = datetime.fromtimestamp(NOW, UTC)

    def notes(*taken: int) -> list[str]:
        return snapshot_report.on_controller(seen, [manifest(seconds=seconds) for seconds in taken], now)

    assert notes() == notes(NOW - 5 * DAY) == notes(NOW - 9 * DAY, NOW - 5 * DAY) == notes(NOW + 1) == []
    (note,) = notes(NOW - 9 * DAY)
    assert "9 d old; next: run deploys/backup.py" in note
    (note,) = notes(NOW + DAY)
    assert "of the future (look at the clocks)" in note


def judged(*snapshots: Manifest, **more: Any) -> list[str]:
    state = host("h1", 1, 9, snapshots=snapshots, **{**SCHEDULED, **more})
    return [one.found for one in snapshot_report.on_hosts(sight(state, host("h2", 2, 9), host("h3", 3, 9)))]


def test_a_clock_that_once_ran_ahead_neither_proves_a_fresh_snapshot_nor_hides_one() -> None:
    future = manifest(seconds=NOW + DAY, time="2026-09-22T00:00:00Z")
    assert judged(future) == ["a snapshot of the future (2026-09-22T00:00:00Z)"]
    assert judged(future, manifest(seconds=NOW - HOUR)) == []
    assert judged(future, manifest(seconds=NOW - DAY)) == ["the newest snapshot 24 h old"]


def test_the_snapshots_of_a_cluster_that_lived_there_before_count_only_while_there_is_no_other() -> None:
    record, earlier = {"id": "00000000000000aa"}, manifest(seconds=NOW - HOUR)
    assert judged(earlier, record=record) == []
    own = manifest(seconds=NOW - DAY, cluster_id="00000000000000aa")
    assert judged(earlier, own, record=record) == ["the newest snapshot 24 h old"]
    assert judged(earlier, own, record={"id": earlier.cluster_id}) == []


def test_a_schedule_that_is_switched_off_is_told_although_the_newest_snapshot_is_fresh() -> None:
    for off in (
        ScheduleState(since=NOW - DAY, enabled=False, active=True),
        ScheduleState(since=NOW - DAY, enabled=True, active=False),
    ):
        assert judged(manifest(), schedule=off) == ["a schedule of snapshots that is switched off"]

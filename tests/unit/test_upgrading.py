"""Which way an upgrade goes, and what forbids it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from etcd_steward.raft_snapshots import index_of
from etcd_steward.upgrading import choose_path, earlier_snapshots, known_releases
from etcd_steward.versions import NEWEST, parse
from tests.engine.fakes import World

ALL = {"@fake/n1", "@fake/n2", "@fake/n3"}


def world(tmp_path: Path, wanted: str, running: dict[str, str], **settings: object) -> World:
    made = World(tmp_path, etcd_version=wanted, etcd_force_version=True, **settings)
    for name, version in running.items():
        made.show(f"@fake/{name}", "converged", version=version)
    return made


def steps(made: World, limit: set[str] = ALL) -> list[str]:
    path = choose_path(made.sight(), limit)
    assert path.complaints == (), [str(complaint) for complaint in path.complaints]
    return [str(step.to) for step in path.steps]


def complaints(made: World, limit: set[str] = ALL) -> str:
    return "\n".join(map(str, choose_path(made.sight(), limit).complaints))


def test_nothing_is_to_be_done_where_all_run_the_wanted_release(tmp_path: Path) -> None:
    assert steps(world(tmp_path, "3.5.30", dict.fromkeys(("n1", "n2", "n3"), "3.5.30"))) == []


def test_f34_every_minor_version_is_a_step_of_its_own(tmp_path: Path) -> None:
    made = world(tmp_path, "3.6.14", dict.fromkeys(("n1", "n2", "n3"), "3.4.23"))
    assert steps(made) == [str(NEWEST["3.5"]), "3.6.14"]


def test_f29_f30_the_last_release_of_a_line_comes_before_the_next_line(tmp_path: Path) -> None:
    made = world(tmp_path, "3.6.14", dict.fromkeys(("n1", "n2", "n3"), "3.5.16"))
    assert steps(made) == [str(NEWEST["3.5"]), "3.6.14"]


def test_a_step_on_the_way_has_a_digest_where_one_is_required(tmp_path: Path) -> None:
    old = dict.fromkeys(("n1", "n2", "n3"), "3.4.23")
    assert steps(world(tmp_path, "3.6.14", old, etcd_require_digest=True)) == ["3.5.33", "3.6.14"]
    given = {"3.5.34": {"amd64": "0" * 64}}
    assert steps(world(tmp_path / "b", "3.6.14", old, etcd_require_digest=True, etcd_sha256=given)) == [
        "3.5.34",
        "3.6.14",
    ]


def test_a_release_without_a_digest_for_a_hosts_machine_is_refused_before_anything(tmp_path: Path) -> None:
    made = world(tmp_path, "3.7.2", dict.fromkeys(("n1", "n2", "n3"), "3.6.14"), etcd_require_digest=True)
    assert steps(made) == ["3.7.2"]
    sight = made.sight()
    hosts = {
        name: replace(state, machine="aarch64") if name.endswith("n2") else state
        for name, state in sight.hosts.items()
    }
    (complaint,) = choose_path(replace(sight, hosts=hosts), ALL).complaints
    assert complaint.host == "@fake/n2"
    assert "etcd-v3.7.2-linux-arm64.tar.gz" in complaint.found
    assert "3.7.1" in complaint.next


def test_what_a_release_on_the_way_does_not_read_is_refused_before_the_first_step(tmp_path: Path) -> None:
    gates = {"feature-gates": {"FastLeaseKeepAlive": False}}
    for running, wrong in (("3.5.33", True), ("3.6.14", False)):
        sight = world(tmp_path / running, "3.7.1", dict.fromkeys(("n1", "n2", "n3"), running)).sight()
        members = tuple(
            replace(one, settings=one.settings.model_copy(update={"etcd_config": gates}))
            for one in sight.cluster.members
        )
        path = choose_path(replace(sight, cluster=replace(sight.cluster, members=members)), ALL)
        told = [complaint for complaint in path.complaints if "'FastLeaseKeepAlive'" in complaint.found]
        assert [complaint.host for complaint in told] == (sorted(ALL) if wrong else [])


def test_an_interrupted_upgrade_goes_on_with_the_members_that_are_behind(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", {"n1": "3.5.30", "n2": "3.4.23", "n3": "3.4.23"})
    assert steps(made) == ["3.5.30"]


def test_a_canary_that_runs_the_wanted_release_has_nothing_left_to_do(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", {"n1": "3.5.30", "n2": "3.5.16", "n3": "3.5.16"})
    assert steps(made, {"@fake/n1"}) == []


def test_a_canary_takes_one_step_only(tmp_path: Path) -> None:
    made = world(tmp_path, "3.6.14", dict.fromkeys(("n1", "n2", "n3"), "3.4.23"))
    assert "one step for a canary" in complaints(made, {"@fake/n1"})


def test_a_half_done_upgrade_is_taken_back_to_the_release_of_the_others(tmp_path: Path) -> None:
    running = {"n1": "3.5.30", "n2": "3.4.23", "n3": "3.4.23"}
    assert steps(world(tmp_path, "3.5.30", running, etcd_rollback=True)) == ["3.4.23"]


def test_the_last_member_on_the_new_line_ends_the_way_back(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", dict.fromkeys(("n1", "n2", "n3"), "3.5.30"), etcd_rollback=True)
    assert "there is nobody to follow back" in complaints(made)


def test_f34_members_more_than_one_step_apart_are_refused(tmp_path: Path) -> None:
    made = world(tmp_path, "3.6.14", {"n1": "3.6.14", "n2": "3.5.16", "n3": "3.5.16"})
    assert "beyond the next step" in complaints(made)


def test_3_6_is_left_downwards_only_to_3_5_and_by_etcds_own_protocol(tmp_path: Path) -> None:
    path = choose_path(world(tmp_path, "3.5.33", dict.fromkeys(("n1", "n2", "n3"), "3.6.14")).sight(), ALL)
    assert (path.downgrade, [str(step.to) for step in path.steps]) == (True, ["3.5.33"])
    made = world(tmp_path / "b", "3.4.40", dict.fromkeys(("n1", "n2", "n3"), "3.5.30"))
    assert "restore a snapshot" in complaints(made)


def test_an_alarm_or_a_host_that_does_not_answer_forbids_an_upgrade(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.33", dict.fromkeys(("n1", "n2", "n3"), "3.5.30"))
    made.show("@fake/n2", "converged", version="3.5.30", alarms=("NOSPACE",))
    assert "@fake/n2: found the alarm NOSPACE" in complaints(made)
    assert "@fake/n3: found no answer" in "\n".join(
        map(str, choose_path(made.sight({"@fake/n3"}), ALL).complaints),
    )


def test_a_member_on_a_release_candidate_forbids_an_upgrade_with_a_sentence(tmp_path: Path) -> None:
    sight = world(tmp_path, "3.5.33", dict.fromkeys(("n1", "n2", "n3"), "3.5.30")).sight()
    third = sight.hosts["@fake/n3"]
    status = {**(third.endpoint.status or {}), "version": "3.6.0-rc.1"}
    hosts = {**sight.hosts, "@fake/n3": replace(third, endpoint=replace(third.endpoint, status=status))}
    told = "\n".join(map(str, choose_path(replace(sight, hosts=hosts), ALL).complaints))
    assert "@fake/n3: found a member whose release is not known" in told


def test_a_rerun_of_a_way_down_goes_on_with_the_members_that_are_still_above(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.33", {"n1": "3.5.33", "n2": "3.6.14", "n3": "3.6.14"})
    path = choose_path(made.sight(), ALL)
    assert (path.complaints, path.downgrade) == ((), False), "etcd was asked before the first went down"
    assert [str(step.to) for step in path.steps] == ["3.5.33"]
    made = world(tmp_path / "b", "3.5.16", {"n1": "3.5.16", "n2": "3.5.30", "n3": "3.5.30"})
    assert steps(made) == ["3.5.16"]


def test_3_7_goes_down_to_3_6_and_from_there_to_3_5_and_no_further(tmp_path: Path) -> None:
    all_on = dict.fromkeys(("n1", "n2", "n3"), "3.7.1")
    path = choose_path(world(tmp_path, "3.6.14", all_on).sight(), ALL)
    assert (path.complaints, path.downgrade, path.lowered) == ((), True, False)
    path = choose_path(world(tmp_path / "b", "3.5.33", all_on).sight(), ALL)
    assert [str(step.to) for step in path.steps] == [str(NEWEST["3.6"]), "3.5.33"]
    assert (path.complaints, path.downgrade, path.lowered) == ((), True, False)
    told = complaints(world(tmp_path / "c", "3.4.44", all_on))
    assert "found etcd 3.7.1, wanted 3.4.44; next: restore a snapshot" in told
    assert "found found" not in told
    assert told.count("wanted") == 1


def test_no_member_goes_two_minor_versions_down_at_once(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.33", {"n1": "3.7.1", "n2": "3.6.14", "n3": "3.6.14"})
    path = choose_path(made.sight(), ALL)
    assert [str(step.to) for step in path.steps] == [str(NEWEST["3.6"]), "3.5.33"]
    assert (path.complaints, path.downgrade, path.lowered) == ((), True, True)


def test_f34_3_6_is_left_upwards_only_from_3_6_11(tmp_path: Path) -> None:
    assert steps(world(tmp_path, "3.7.1", dict.fromkeys(("n1", "n2", "n3"), "3.6.10"))) == [
        str(NEWEST["3.6"]),
        "3.7.1",
    ]
    assert steps(world(tmp_path / "b", "3.7.1", dict.fromkeys(("n1", "n2", "n3"), "3.6.11"))) == ["3.7.1"]


def test_the_older_release_is_not_mistaken_for_the_wanted_one_while_a_canary_runs(tmp_path: Path) -> None:
    made = world(tmp_path, "3.4.23", {"n1": "3.5.16", "n2": "3.4.23", "n3": "3.4.23"})
    assert "run with --data etcd_rollback=true" in complaints(made)


def test_a_patch_release_is_rolled_back_too(tmp_path: Path) -> None:
    running = {"n1": "3.5.30", "n2": "3.5.16", "n3": "3.5.16"}
    assert steps(world(tmp_path, "3.5.30", running, etcd_rollback=True)) == ["3.5.16"]


def stopped(made: World, name: str, linked: str) -> None:
    made.hosts[f"@fake/{name}"].lines = made.lines(f"@fake/{name}", "stopped", version=linked)


def test_a_member_that_an_interrupted_upgrade_left_down_takes_part(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", {"n1": "3.5.30", "n3": "3.5.16"})
    stopped(made, "n2", "3.5.30")
    assert known_releases(made.sight())["@fake/n2"] == parse("3.5.30")
    assert steps(made) == ["3.5.30"]


def test_the_last_member_down_on_the_wanted_release_still_gets_its_turn(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", {"n1": "3.5.30", "n3": "3.5.30"})
    stopped(made, "n2", "3.5.30")
    assert steps(made) == ["3.5.30"]


def test_a_member_that_is_down_for_another_reason_is_not_given_another_release(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", {"n1": "3.5.16", "n3": "3.5.16"})
    stopped(made, "n2", "3.5.16")
    told = complaints(made)
    assert "@fake/n2: found etcd not healthy (connection refused), wanted every member healthy" in told
    assert "next: run deploys/etcd.py first" in told


def test_a_member_that_is_down_outside_the_limit_forbids_a_canary(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.30", {"n1": "3.5.30", "n3": "3.5.16"})
    stopped(made, "n2", "3.5.30")
    assert "@fake/n2: found etcd not healthy" in complaints(made, {"@fake/n3"})


def test_back_means_the_release_of_those_that_are_down_as_well(tmp_path: Path) -> None:
    made = world(tmp_path, "3.5.16", {"n1": "3.5.16", "n3": "3.5.16"}, etcd_rollback=True)
    stopped(made, "n2", "3.4.23")
    assert steps(made) == ["3.4.23"]


def snapshot(made: World, host: str, **changes: object) -> None:
    told = {
        "written by": "etcd-steward",
        "file": "a.db",
        "sha256": "0" * 64,
        "size": 20512,
        "revision": 7,
        "keys": 3,
        "hash": 5,
        "compact_revision": 1,
        "cluster": "etcd",
        "cluster_id": made.record.id,
        "member": "n1",
        "version": "3.4.23",
        "time": "2026-07-21T03:19:00Z",
        "seconds": int(time.time()) - 60,
        "origin": "upgrade",
        **changes,
    }
    made.hosts[host].lines.insert(-1, f"snapshot {json.dumps(told)}")


def found(made: World) -> list[str]:
    return [manifest.file for _, manifest in earlier_snapshots(made.sight(), parse("3.5.16"))]


def test_an_upgrade_that_left_a_member_down_needs_no_second_snapshot_and_any_other_does(
    tmp_path: Path,
) -> None:
    running = {"n1": "3.5.16", "n2": "3.4.23", "n3": "3.4.23"}
    half = world(tmp_path, "3.5.16", running)
    stopped(half, "n1", "3.5.16")
    canary = world(tmp_path / "c", "3.5.16", running)
    fresh = world(tmp_path / "b", "3.5.16", dict.fromkeys(("n1", "n2", "n3"), "3.4.23"))
    for made in (half, canary, fresh):
        snapshot(made, "@fake/n2")
        snapshot(made, "@fake/n2", file="scheduled.db", origin="scheduled")
        snapshot(made, "@fake/n2", file="foreign.db", cluster_id="0" * 16)
        snapshot(made, "@fake/n2", file="old.db", seconds=int(time.time()) - 90000)
        snapshot(made, "@fake/n2", file="clock.db", seconds=int(time.time()) + 90000)
    assert (found(half), found(canary), found(fresh)) == (["a.db"], [], [])


def test_only_the_operators_word_lets_a_recent_snapshot_do(tmp_path: Path) -> None:
    made = world(
        tmp_path, "3.5.16", dict.fromkeys(("n1", "n2", "n3"), "3.4.23"), etcd_upgrade_snapshot="recent"
    )
    snapshot(made, "@fake/n2", file="scheduled.db", origin="scheduled")
    snapshot(made, "@fake/n3", file="newer.db", revision=9)
    snapshot(made, "@fake/n3", file="old.db", seconds=int(time.time()) - 90000)
    assert found(made) == ["newer.db", "scheduled.db"]


def test_f34_a_member_outside_the_inventory_may_run_anything_so_that_nobody_is_upgraded(
    tmp_path: Path,
) -> None:
    made = world(tmp_path, "3.5.30", dict.fromkeys(("n1", "n2", "n3"), "3.5.16"))
    stranger = {"ID": 0xAB, "name": "n4", "peerURLs": ["https://a:2380"], "clientURLs": ["https://a:2379"]}
    for host in ALL:
        made.show(host, "converged", version="3.5.16", strangers=(stranger,))
    assert "found the member n4 (00000000000000ab), which no host of the inventory is" in complaints(made)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("0000000000000002-0000000000000a41.snap", 0xA41),
        ("00000000000000ff-000000000000ffff.snap", 0xFFFF),
        ("none", 0),
        ("", 0),
        ("0000000000000002-0000000000000a41.snap.broken", 0),
    ],
)
def test_the_index_of_a_raft_snapshot_is_in_its_name(name: str, index: int) -> None:
    assert index_of(name) == index

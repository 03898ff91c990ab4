"""Which way an upgrade goes, and what forbids it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from etcd_steward.upgrading import choose_path, differing_hashes
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
    assert steps(made) == ["3.5.33", "3.6.14"]


def test_f29_f30_the_last_release_of_a_line_comes_before_the_next_line(tmp_path: Path) -> None:
    made = world(tmp_path, "3.6.14", dict.fromkeys(("n1", "n2", "n3"), "3.5.16"))
    assert steps(made) == ["3.5.33", "3.6.14"]


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
    assert "the cluster's version has risen" in complaints(made)


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


def answer(*hashes: int) -> str:
    return json.dumps(
        [{"Endpoint": f"e{number}", "HashKV": {"hash": value}} for number, value in enumerate(hashes)]
    )


def test_f35_equal_hashes_differ_in_nothing_and_others_are_named() -> None:
    assert differing_hashes(answer(7, 7, 7), 3) == ""
    assert differing_hashes(answer(7, 7, 8), 3) == "e0: 00000007, e1: 00000007, e2: 00000008"


@pytest.mark.parametrize(
    "said", ["", "Error: context deadline exceeded", "{}", '[{"Endpoint": "e"}]', answer(7, 7)]
)
def test_no_answer_is_never_taken_for_agreement(said: str) -> None:
    with pytest.raises(ValueError, match="hashes"):
        differing_hashes(said, 3)


def test_a_member_on_a_release_candidate_forbids_an_upgrade_with_a_sentence(tmp_path: Path) -> None:
    sight = world(tmp_path, "3.5.33", dict.fromkeys(("n1", "n2", "n3"), "3.5.30")).sight()
    third = sight.hosts["@fake/n3"]
    status = {**(third.endpoint.status or {}), "version": "3.6.0-rc.1"}
    hosts = {**sight.hosts, "@fake/n3": replace(third, endpoint=replace(third.endpoint, status=status))}
    told = "\n".join(map(str, choose_path(replace(sight, hosts=hosts), ALL).complaints))
    assert "@fake/n3: found a member whose release is not known" in told

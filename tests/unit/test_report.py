"""What is promised about the judgement of a cluster."""

from datetime import UTC, datetime, timedelta

import pytest

from etcd_steward.plan import decide
from etcd_steward.report import examine, judge, problems_of
from etcd_steward.versions import DEFAULT
from etcd_steward.work import ROLES
from tests.engine.fakes import World

NOW = datetime.now(UTC)
STRANGER = {"ID": 77, "name": "old", "peerURLs": ["https://198.18.99.99:2380"], "clientURLs": ["https://x:1"]}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def verdict(world, *, unreached=(), now=NOW):
    sight = world.sight(unreached)
    return examine(sight, decide(sight.cluster, sight.hosts, sight.seen, sight.records), now)


def problems(world, **more):
    return [str(problem) for problem in verdict(world, **more).problems]


def test_three_healthy_voters_have_no_problem_and_need_no_note(world):
    found = verdict(world)
    assert found.problems == ()
    # A fault without a cure in its line is told of a release that is the newest, too.
    assert [note for note in found.notes if not note.startswith(f"etcd {DEFAULT}: ")] == []
    assert all("not fixed in" in note for note in found.notes)


def test_every_problem_says_what_was_found_what_was_wanted_and_what_to_do(world):
    world.show("@fake/n1", "empty")
    world.show("@fake/n2", "half")
    told = problems(world, unreached=("@fake/n3",))
    assert len(told) >= 3
    for line in told:
        host, found = line.split(": found ", 1)
        assert host
        assert ", wanted " in found
        assert "; next: " in found


def test_an_unreached_host_is_a_problem_told_once(world):
    (told,) = problems(world, unreached=("@fake/n2",))
    assert "@fake/n2: found no answer (no route to host)" in told


def test_one_stopped_member_is_a_problem_although_the_others_have_a_quorum(world):
    world.show("@fake/n2", "stopped")
    (told,) = problems(world)
    assert told.startswith("@fake/n2: found etcd stopped, wanted it running")


def test_without_a_quorum_the_cluster_itself_has_a_problem(world):
    for host in world.hosts:
        world.show(host, "unhealthy")
    told = problems(world)
    # They run, and nobody knows what they do: that is no proof.
    assert told[0].startswith(
        "etcd: found no quorum that answers (0 of 3 members do; @fake/n1: etcd started, "
    )
    assert len(told) == 4


def test_only_where_every_member_is_shown_to_be_stopped_the_cluster_is_said_to_have_no_quorum(world):
    for host in world.hosts:
        world.show(host, "stopped")
    assert problems(world)[0].startswith("etcd: found no quorum (0 of 3 members answer), wanted 2 that agree")


def test_hosts_without_etcd_are_told_to_be_converged(world):
    for host in world.hosts:
        world.show(host, "empty")
    told = problems(world)
    assert len([line for line in told if "found no etcd" in line and "deploys/etcd.py" in line]) == 3


def test_converging_is_no_advice_where_it_would_refuse(world):
    world.show("@fake/n2", "half")
    (told,) = problems(world)
    assert "half a data folder" in told
    assert "run deploys/etcd.py" not in told


def test_an_alarm_is_a_problem(world):
    world.show("@fake/n2", "converged", alarms=("NOSPACE",))
    (told,) = problems(world)
    assert told == "@fake/n2: found the alarm NOSPACE, wanted none; next: run deploys/maintain.py"


def test_maintaining_is_no_advice_for_an_alarm_that_it_never_ends(world):
    world.show("@fake/n2", "converged", alarms=("NOSPACE", "CORRUPT"))
    (told,) = problems(world)
    assert told.endswith("found the alarm NOSPACE, CORRUPT, wanted none; next: see docs/troubleshooting.md")


def test_a_learner_and_the_missing_voter_are_problems(world):
    for host in world.hosts:
        world.show(host, "converged", learner=host == "@fake/n1")
    told = problems(world)
    assert [line for line in told if line.startswith("@fake/n1: found a learner, wanted a voter")]
    assert [line for line in told if line.startswith("etcd: found 2 voters, wanted 3")]


def test_members_of_several_clusters_are_a_problem(world):
    world.show("@fake/n3", "converged", cluster_id=99)
    told = problems(world)
    assert "members of several clusters" in told[0]
    assert f"{99:016x}" in told[0]


def test_a_clone_is_a_problem(world):
    wal = [line for line in world.hosts["@fake/n1"].lines if line.startswith("data wal ")]
    lines = [line for line in world.hosts["@fake/n2"].lines if not line.startswith("data wal ")]
    world.hosts["@fake/n2"].lines = [*lines[:-1], *wal, "end"]
    assert [line for line in problems(world) if "the same data as on @fake/n1" in line]


def test_an_authority_near_its_end_leads_to_rotating_while_that_can_still_be_done(world):
    notes = verdict(world, now=NOW + timedelta(days=3620)).notes
    told = [note for note in notes if "/ca.pem ends in" in note]
    assert len(told) == 3
    assert all(note.endswith("next: run deploys/rotate_ca.py") for note in told)


def without(world, host, path):
    """Let a file vanish under a running process."""
    lines = world.hosts[host].lines
    world.hosts[host].lines = [
        line
        for line in lines
        if not line.startswith(f"pem {path} ")
        and not (line.startswith("file ") and line.endswith(f" {path}"))
    ]


@pytest.mark.parametrize("role", ROLES)
def test_a_certificate_or_key_that_is_gone_is_a_problem_although_the_process_goes_on(world, role):
    certificate, key = (f"/etc/etcd/pki/{name}.pem" for name in (role, f"{role}-key"))
    without(world, "@fake/n1", key)
    without(world, "@fake/n2", certificate)
    cure = "wanted a certificate and its own key; next: run deploys/renew.py"
    assert problems(world) == [
        f"@fake/n1: found {certificate} without {key}, {cure}",
        f"@fake/n2: found no {certificate}, {cure}",
    ]


def test_an_authority_that_is_gone_is_a_problem_that_converging_mends(world):
    without(world, "@fake/n2", "/etc/etcd/pki/peer-ca.pem")
    (told,) = problems(world)
    assert told.startswith("@fake/n2: found no /etc/etcd/pki/peer-ca.pem, wanted the authority")
    assert told.endswith("next: run deploys/etcd.py")


def test_a_key_that_is_not_its_certificates_is_a_problem(world):
    path = "/etc/etcd/pki/peer-key.pem"
    (told,) = (line for line in world.hosts["@fake/n3"].lines if line.endswith(f" {path}"))
    without(world, "@fake/n3", path)
    word, _, *rest = told.split(" ")
    world.hosts["@fake/n3"].lines.insert(-1, " ".join([word, "0" * 64, *rest]))
    cure = "wanted a certificate and its own key; next: run deploys/renew.py"
    assert problems(world) == [
        f"@fake/n3: found {path}, which is not the key of /etc/etcd/pki/peer.pem, {cure}"
    ]


def test_a_login_without_root_is_told_nothing_of_files_that_it_cannot_see(world):
    for path in ("/etc/etcd/pki/server-key.pem", "/etc/etcd/pki/server.pem"):
        without(world, "@fake/n1", path)
    lines = world.hosts["@fake/n1"].lines
    world.hosts["@fake/n1"].lines = ["uid 1000" if line == "uid 0" else line for line in lines]
    assert not [line for line in problems(world) if ".pem" in line]


@pytest.mark.parametrize(("days", "word"), [(700, "ends in"), (731, "expired")])
def test_a_certificate_is_a_note_before_its_end_and_a_problem_after_it(world, days, word):
    found = verdict(world, now=NOW + timedelta(days=days))
    told = found.problems if word == "expired" else found.notes
    assert len([line for line in told if word in str(line) and "server.pem" in str(line)]) == 3
    assert bool(found.problems) == (word == "expired")


def test_an_expired_authority_is_a_problem(world):
    found = [line for line in problems(world, now=NOW + timedelta(days=3651)) if "/ca.pem" in line]
    assert len(found) == 3


def test_a_certificate_that_cannot_be_read_is_a_problem(world):
    lines = world.hosts["@fake/n1"].lines
    world.hosts["@fake/n1"].lines = [line for line in lines if "/server.pem " not in line or "--" in line]
    assert [line for line in problems(world) if "server.pem, which cannot be read" in line]


def test_a_cluster_that_has_not_passed_its_gate_is_not_healthy(world):
    host = world.hosts["@fake/n1"]
    host.lines = [
        line.replace('"open": false', '"open": true') if line.startswith("record ") else line
        for line in host.lines
    ]
    assert [line for line in problems(world) if "not yet passed its gate" in line]


def test_a_login_without_rights_is_the_only_problem_told_of_its_host(world):
    for host in world.hosts.values():
        host.lines = ["uid 1000" if line == "uid 0" else line for line in host.lines]
        host.lines = [line for line in host.lines if not line.startswith(("etcd ", "data "))]
    told = problems(world)
    assert len(told) == 3
    assert all("a login without root's rights" in line for line in told)


def test_another_release_is_a_note_for_status_and_a_problem_after_converging(world):
    for host in world.hosts:
        world.show(host, "converged", version="3.5.30")
    found = verdict(world)
    assert found.problems == ()
    behind = [note for note in found.notes if f"deploys/upgrade.py --data etcd_version={DEFAULT}" in note]
    assert len(behind) == 1
    assert behind[0].startswith("@fake/n1, @fake/n2, @fake/n3: found etcd 3.5.30 running")
    sight = world.sight()
    assert set(judge(sight, set(world.hosts))) == set(world.hosts)
    assert [line for line in problems_of(sight, sight.cluster.members[0]) if "etcd 3.5.30 running" in line]


def test_what_is_known_against_the_running_release_is_a_note(world):
    for host in world.hosts:
        world.show(host, "converged", version="3.5.16")
    assert [
        note for note in verdict(world).notes if note.startswith("etcd 3.5.16: ") and "CVE-2026-33413" in note
    ]


def test_settings_that_work_but_are_unwise_are_a_note(tmp_path):
    found = verdict(World(tmp_path, etcd_config={"log-level": "debug"}))
    assert found.problems == ()
    assert "etcd_config: log-level debug fills the log" in found.notes


def test_a_member_that_the_inventory_does_not_know_is_a_note(world):
    for host in world.hosts:
        world.show(host, "converged", strangers=(STRANGER,))
    found = verdict(world)
    assert found.problems == ()
    assert [note for note in found.notes if "member old" in note and "not in the inventory" in note]


def test_what_lies_aside_is_a_note(world):
    path = "/var/lib/etcd/member.20260701T080000Z-1"
    world.show("@fake/n2", "converged", aside=(path,))
    assert f"@fake/n2: lies aside, unused by etcd: {path}" in verdict(world).notes


def test_a_service_that_does_not_start_at_boot_is_a_note(world):
    host = world.hosts["@fake/n1"]
    host.lines = [line for line in host.lines if line != "service UnitFileState=enabled"]
    found = verdict(world)
    assert found.problems == ()
    assert [note for note in found.notes if "not enabled, wanted it started at boot" in note]


def test_a_manifest_that_was_taken_out_is_told_as_such_with_the_verb_for_pods(tmp_path):
    world = World(tmp_path, init="systemd", etcd_runtime="static_pod")
    host = world.hosts["@fake/n1"]
    gone = ("service Manifest=", "service UnitFileState=")
    host.lines = [line for line in host.lines if not line.startswith(gone)]
    told = [str(one) for one in (*verdict(world).problems, *verdict(world).notes)]
    assert any(
        "/etc/kubernetes/manifests/etcd.yaml" in one and "run deploys/static_pods.py" in one for one in told
    )
    assert not [one for one in told if "the service etcd" in one or "deploys/etcd.py" in one]


def test_a_wrong_clock_is_a_note(world):
    host = world.hosts["@fake/n1"]
    host.lines = ["now 86400" if line.startswith("now ") else line for line in host.lines]
    assert [note for note in verdict(world).notes if note.startswith("@fake/n1: found a clock ")]


def test_a_problem_of_a_host_that_cannot_tell_it_is_told_by_the_others(world):
    sight = world.sight(("@fake/n3",))
    found = verdict(world, unreached=("@fake/n3",)).told(sight, {"@fake/n1", "@fake/n2"})
    for host in ("@fake/n1", "@fake/n2"):
        assert "@fake/n3: found no answer" in found[host]


def test_a_problem_of_a_host_that_can_tell_it_is_not_repeated_by_the_others(world):
    world.show("@fake/n3", "stopped")
    assert set(verdict(world).told(world.sight(), set(world.hosts))) == {"@fake/n3"}

"""What is left to do on one host, and whether it needs the member's turn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from etcd_steward.desired import desired
from etcd_steward.observed import Endpoint, File, Service
from etcd_steward.parsing import parse_probe
from etcd_steward.pki import issue
from etcd_steward.versions import Version
from etcd_steward.work import ROLES, Work, key_owner, leaf_spec, subject, tools, work
from tests.engine.fakes import World

HOST = "@fake/n1"
PKI = "/etc/etcd/pki"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), init="systemd")


@pytest.fixture
def state(world):
    return parse_probe(HOST, world.hosts[HOST].lines)


@pytest.fixture
def left(world, state):
    """Say what is left to do on a converged host, with something changed."""

    def run(action="converge", now=None, version=None, ready=None, **changes):
        member = world.cluster.member(HOST)
        found = replace(state, **changes)
        texts = (world.authorities.client.pem, world.authorities.peer.pem)
        wanted = desired(world.cluster, member, found, world.record, version or world.version, texts)
        trusted = {role: [world.authorities.for_role(role)] for role in ROLES}
        return work(member, found, action, wanted, trusted, ready=ready, now=now or datetime.now(UTC))

    return run


def without(mapping, *paths):
    return {key: value for key, value in mapping.items() if key not in paths}


def test_a_converged_host_needs_nothing(left):
    assert left() == Work()
    assert not left().anything
    assert left().reasons() == []


@pytest.mark.parametrize("action", ["wait", "refuse", "leave"])
def test_a_host_that_waits_is_not_changed_whatever_it_lacks(left, action):
    assert left(action, account=None, files={}, releases={}) == Work()


@pytest.mark.parametrize("changes", [{"account": None}, {"group": None}])
def test_a_missing_account_is_made(left, changes):
    assert left(**changes) == Work(account=True)


def test_a_missing_release_is_staged_without_a_turn(left):
    assert left(releases={"3.5.1": "0" * 64}) == Work(stage=True)


def test_a_link_moves_in_the_turn_only(left, state):
    found = left(links=state.links | {"etcdctl": "/opt/etcd/3.5.1/etcdctl"})
    assert (found.link, found.turn) == (True, True)
    assert found.reasons() == ["the links to the release"]


def test_an_old_release_has_no_etcdutl_to_link():
    assert tools(Version(3, 4, 44)) == ("etcd", "etcdctl")
    assert tools(Version(3, 5, 0)) == ("etcd", "etcdctl", "etcdutl")


def test_another_release_is_staged_linked_and_restarted_into(left):
    found = left(version=Version(3, 5, 32))
    assert (found.stage, found.link, found.restart, found.turn) == (True, True, True, True)


def test_a_service_that_does_not_run_is_started_in_a_turn(left):
    found = left(service=Service(exists=True, running=False, enabled=True))
    assert found == Work(start=True, turn=True)
    assert found.reasons() == ["it does not run"]


def test_a_service_that_is_not_enabled_is_enabled_without_a_turn(left, state):
    assert left(service=replace(state.service, enabled=False)) == Work(enable=True)


def test_an_unhealthy_member_gets_a_turn_even_where_nothing_differs(left):
    assert left(endpoint=Endpoint(error="no answer")) == Work(turn=True)


def test_f18_a_process_that_was_started_with_something_else_is_restarted(left, state):
    found = left(started=state.started | {"config": "0" * 64})
    assert found == Work(restart=True, turn=True)
    assert found.reasons() == ["it runs with an older configuration"]


def test_f18_a_process_of_which_nothing_was_noted_is_restarted(left):
    assert left(started={}).restart


@pytest.mark.parametrize(
    ("path", "turn"),
    [
        ("/etc/etcd/conf.yml", True),
        ("/etc/etcd/pki/ca.pem", True),
        ("/etc/etcd/pki/peer-ca.pem", True),
        ("/etc/systemd/system/etcd.service", True),
        ("/etc/etcd-steward/etcd-start", False),
        ("/etc/etcd-steward/etcd.json", False),
        ("/etc/profile.d/etcdctl.sh", False),
    ],
)
@pytest.mark.parametrize("change", [{"mode": "777"}, {"owner": "etcd:etcd"}, {"sha256": "0" * 64}])
def test_a_file_that_differs_is_written_in_a_turn_only_where_the_process_reads_it(
    left, state, path, turn, change
):
    changed = {"files": state.files | {path: replace(state.files[path], **change)}}
    if path.endswith("conf.yml") and "sha256" in change:
        changed["settled"] = "0" * 64
    found = left(**changed)
    assert [one.path for one in found.files] == [path]
    assert (found.turn, found.restart) == (turn, False)


def test_lines_for_a_first_start_alone_are_written_without_a_turn(left, state):
    # Growth: `initial-cluster` differs on all members, and no running process reads it.
    path = "/etc/etcd/conf.yml"
    found = left(files=state.files | {path: replace(state.files[path], sha256="0" * 64)})
    assert [(one.path, one.turn) for one in found.files] == [(path, False)]
    assert not found.turn


def test_missing_files_are_written(left):
    assert len(left(files={}).files) == 7


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_certificate_or_key_is_made_in_a_turn_without_a_restart(left, state, role):
    found = left(certificates=without(state.certificates, f"{PKI}/{role}.pem"))
    assert found == Work(certificates={role: ("there is none",)}, turn=True)
    found = left(files=without(state.files, f"{PKI}/{role}-key.pem"))
    assert found == Work(certificates={role: ("its key is missing",)}, turn=True)
    assert found.reasons() == [f"{role} certificate (its key is missing)"]


@pytest.mark.parametrize("role", ROLES)
def test_a_key_that_others_may_read_is_made_anew(left, state, role):
    path = f"{PKI}/{role}-key.pem"
    found = left(files=state.files | {path: replace(state.files[path], mode="644")})
    owner, mode = ("root:etcd", "640") if role in {"server", "peer"} else ("root:root", "600")
    assert found.certificates == {role: (f"its key is {owner} 644, wanted {owner} {mode}",)}


def test_a_key_that_is_not_the_certificates_is_made_anew(left, state):
    path = f"{PKI}/peer-key.pem"
    found = left(files=state.files | {path: replace(state.files[path], sha256="0" * 64)})
    assert set(found.certificates) == {"peer"}


def test_f15_certificates_are_made_anew_in_their_last_days_and_not_before(left):
    now = datetime.now(UTC)
    assert not left(now=now + timedelta(days=730 - 61)).certificates
    assert set(left(now=now + timedelta(days=730 - 59)).certificates) == set(ROLES)


def test_f14_a_certificate_of_another_authority_is_made_anew(left, state, world, tmp_path):
    other = World(tmp_path)
    pair = issue(other.authorities.peer, leaf_spec(world.cluster.member(HOST), "peer"), now=datetime.now(UTC))
    found = left(certificates=state.certificates | {f"{PKI}/peer.pem": pair.certificate_pem})
    assert set(found.certificates) == {"peer"}


def test_f12_a_certificate_without_one_of_the_names_is_made_anew(tmp_path, state):
    world = World(tmp_path, etcd_extra_names=["etcd.example.org"], init="systemd")
    old = World(tmp_path / "old", init="systemd")
    member, texts = world.cluster.member(HOST), (old.authorities.client.pem, old.authorities.peer.pem)
    found = parse_probe(HOST, old.hosts[HOST].lines)
    wanted = desired(world.cluster, member, found, old.record, world.version, texts)
    trusted = {role: [old.authorities.for_role(role)] for role in ROLES}
    assert set(work(member, found, "converge", wanted, trusted, now=datetime.now(UTC)).certificates) == {
        "server",
        "peer",
    }


def test_ready_made_pairs_are_delivered_as_they_are_and_only_where_they_differ(left, world, state):
    member = world.cluster.member(HOST)
    pairs = {
        role: issue(world.authorities.for_role(role), leaf_spec(member, role), now=datetime.now(UTC))
        for role in ROLES
    }
    ready = {role: (pair.certificate_pem, pair.key_pem) for role, pair in pairs.items()}
    assert left(ready=ready).certificates == dict.fromkeys(ROLES, ("it is not the ready-made one",))
    assert left(ready=without(ready, "peer")).certificates["peer"] == ("there is none",)


FOLDER = "700 etcd:etcd"


@pytest.mark.parametrize("action", ["bootstrap", "join", "replace", "finish"])
def test_a_data_folder_is_made_for_a_new_member(left, action):
    assert left(action, folders={}).folders == (("/var/lib/etcd", "700", "etcd:etcd"),)


@pytest.mark.parametrize("action", ["converge", "start"])
def test_f02_a_missing_data_folder_of_a_formed_member_is_a_disk_that_is_not_mounted_and_is_not_made(
    left, action
):
    assert left(action, folders={}).folders == ()


@pytest.mark.parametrize("found", ["755 etcd:etcd", "700 root:root"])
def test_a_data_folder_gets_its_owner_and_mode_back(left, found):
    assert left(folders={"folder": found}).folders == (("/var/lib/etcd", "700", "etcd:etcd"),)


def test_a_bootstrap_needs_no_turns(left):
    found = left(
        "bootstrap", files={}, certificates={}, service=Service(), started={}, links={}, account=None
    )
    assert found.start
    assert not found.turn


def test_etcd_reads_two_keys_and_root_alone_the_others(world):
    member = world.cluster.member(HOST)
    assert {role: key_owner(member, role) for role in ROLES} == {
        "server": ("root:etcd", "640"),
        "peer": ("root:etcd", "640"),
        "client": ("root:root", "600"),
        "health": ("root:root", "600"),
    }


def test_only_certificates_that_serve_carry_names(world):
    member = world.cluster.member(HOST)
    specs = {role: leaf_spec(member, role) for role in ROLES}
    assert specs["server"].names == specs["peer"].names == member.certificate_names
    assert specs["client"].names == specs["health"].names == ()
    assert {role: spec.common_name for role, spec in specs.items()} == {
        "server": "n1",
        "peer": "etcd-peer",
        "client": "etcd-client-n1",
        "health": "etcd-steward",
    }


def test_subject_fields_have_x509s_short_names():
    found = subject({"C": "CN", "ST": "cloud-atlas", "L": "Shanghai", "O": "Huatai", "OU": "etcd"})
    assert (found.country, found.province, found.locality) == ("CN", "cloud-atlas", "Shanghai")
    assert (found.organization, found.organizational_unit) == ("Huatai", "etcd")


def test_a_path_that_is_no_file_differs(left, state):
    path = "/etc/etcd/conf.yml"
    found = left(files=state.files | {path: File("other", "0", "-", ours=False)})
    assert [one.path for one in found.files] == [path]

"""What one look at a host tells: the probe itself, run on this machine, and its answer, read."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.addresses import Held
from etcd_steward.facts.probe import questions
from etcd_steward.identity import Identity
from etcd_steward.observed import Endpoint, HostState, see_cluster
from etcd_steward.parsing import parse_probe
from etcd_steward.settings import Settings
from tests.engine.fakes import wal_head

DATA = Path(__file__).parents[1] / "data"
ANSWERS = {path.stem: path.read_text().splitlines() for path in sorted(DATA.glob("probe-*.txt"))}
LEAST = ["probe 1", "now 1700000000", "uid 0", "machine x86_64", "boot b", "init openrc", "free 1 /", "end"]
SHELLS = [argv for argv in (["sh"], ["busybox", "sh"]) if shutil.which(argv[0])]


def read(*lines):
    return parse_probe("n1", [*LEAST[:-1], *lines, "end"])


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def look(request, tmp_path):
    """Run the real probe on this machine, with all folders below the test's own."""

    def run(**changes):
        folders = {
            "etcd_data_dir": f"{tmp_path}/data",
            "etcd_config_dir": f"{tmp_path}/conf",
            "etcd_cert_dir": f"{tmp_path}/pki",
            "etcd_prefix": f"{tmp_path}/releases",
            "etcd_bin_dir": f"{tmp_path}/bin",
        }
        script = questions(Settings().model_copy(update=folders | changes), "n1")
        told = subprocess.run(
            [*request.param, "-c", script + ""], capture_output=True, text=True, check=False
        )
        assert told.stderr == ""
        state = parse_probe("n1", told.stdout.splitlines())
        assert state.reached, state.problem
        return state

    return run


@pytest.fixture
def member(tmp_path):
    """Make a data folder with both halves."""
    folder = tmp_path / "data" / "member"
    (folder / "snap").mkdir(parents=True)
    (folder / "wal").mkdir()
    (folder / "snap" / "db").write_bytes(bytes(4096))
    (folder / "wal" / "0000000000000000-0000000000000000.wal").write_bytes(wal_head(1, 2) + bytes(1000))
    return folder


def test_a_missing_or_empty_data_folder_is_empty(look, tmp_path):
    assert look().data.value == "empty"
    (tmp_path / "data").mkdir()
    assert look().data.value == "empty"
    assert look().folders["folder"].startswith("755 ")


def test_the_ids_are_those_of_the_newest_segment(look, member):
    (member / "wal" / "0000000000000001-0000000000000abc.wal").write_bytes(wal_head(3, 4))
    (member / "wal" / "0.tmp").write_bytes(bytes(512))
    data = look().data
    assert (data.value, data.identity, data.size) == ("complete", Identity(3, 4), 4096)


def test_a_log_on_a_disk_of_its_own_is_looked_for_there(look, member, tmp_path):
    (tmp_path / "ssd").mkdir()
    (member / "wal").rename(tmp_path / "ssd" / "wal")
    assert look(etcd_wal_dir=f"{tmp_path}/ssd").data.identity == Identity(1, 2)
    assert look(etcd_wal_dir=f"{tmp_path}/nvme").data.missing == "the write-ahead log"


def test_half_a_data_folder_is_half_whichever_half_it_is(look, member):
    (member / "snap" / "db").rename(member / "away")
    assert (look().data.value, look().data.missing) == ("half", "the database (member/snap/db)")
    (member / "away").rename(member / "snap" / "db")
    shutil.rmtree(member / "wal")
    assert (look().data.value, look().data.missing) == ("half", "the write-ahead log")


def test_a_log_that_is_none_is_half(look, member):
    (member / "wal" / "0000000000000001-0000000000000abc.wal").write_bytes(b"")
    assert (look().data.value, look().data.missing) == ("half", "a readable write-ahead log")


def test_a_link_to_a_disk_that_is_not_mounted_is_unknown_and_not_empty(look, tmp_path):
    (tmp_path / "data").symlink_to(tmp_path / "not-mounted")
    assert (look().data.value, look().data.missing) == ("unknown", f"{tmp_path}/data")


def test_a_log_behind_a_link_to_a_disk_that_is_not_mounted_is_unknown_and_not_empty(look, tmp_path):
    (tmp_path / "ssd").symlink_to(tmp_path / "not-mounted")
    found = look(etcd_wal_dir=f"{tmp_path}/ssd").data
    assert (found.value, found.missing) == ("unknown", f"{tmp_path}/ssd")


@pytest.mark.parametrize("place", ["member", "member/snap", "member/wal"])
def test_a_part_that_cannot_be_looked_into_is_unknown_and_not_empty(look, member, tmp_path, place):
    path = tmp_path / "data" / place
    path.rename(tmp_path / "away")
    path.symlink_to(path)
    assert look().data.value == "unknown"


def test_a_file_in_the_place_of_the_data_folder_is_unknown_and_not_empty(look, tmp_path):
    (tmp_path / "data").write_text("")
    assert look().data.value == "unknown"


def test_what_lies_aside_is_told(look, member):
    member.rename(member.with_name("member.20260101T000000Z-1"))
    assert look().aside == (str(member.with_name("member.20260101T000000Z-1")),)
    assert look().data.value == "empty"


def test_a_configuration_that_says_existing_is_evidence_and_its_first_lines_are_not_in_the_digest(
    look, tmp_path
):
    conf = tmp_path / "conf" / "conf.yml"
    conf.parent.mkdir()
    conf.write_text("name: n1\ninitial-cluster-state: new\n")
    new = look()
    conf.write_text("name: n1\ninitial-cluster-state: existing\ninitial-cluster: n1=https://a:2380\n")
    existing = look()
    assert (new.formed, existing.formed) == (False, True)
    assert new.settled == existing.settled
    assert new.files[str(conf)].sha256 != existing.files[str(conf)].sha256
    assert not new.files[str(conf)].ours


def test_certificates_are_told_in_full_and_of_keys_only_the_digest(look, tmp_path):
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.pem").write_text(
        "# key-sha256 abc\n-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    )
    (tmp_path / "pki" / "server-key.pem").write_text("-----BEGIN PRIVATE KEY-----\nsecret\n")
    state = look()
    assert state.certificates == {f"{tmp_path}/pki/ca.pem": (tmp_path / "pki" / "ca.pem").read_text()}
    assert len(state.files[f"{tmp_path}/pki/server-key.pem"].sha256) == 64
    assert "secret" not in repr(state)


def test_the_probe_changes_nothing(look, member, tmp_path):
    def everything():
        return {path: path.lstat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}

    before = everything()
    look()
    assert everything() == before


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answers_of_real_targets_are_read(name):
    state = parse_probe("n1", ANSWERS[name])
    assert state.reached
    assert (state.data.value == "complete") == name.startswith("probe-member")


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_was_cut_short_is_none_wherever_it_was_cut(name):
    for length in range(len(ANSWERS[name])):
        state = parse_probe("n1", ANSWERS[name][:length])
        assert not state.reached
        assert state.data.value == "unknown"


@given(st.sampled_from(sorted(ANSWERS)), st.sets(st.integers(0, 400), max_size=5), st.text(max_size=20))
def test_a_garbled_answer_is_read_or_is_none_and_never_an_error(name, places, garbage):
    lines = [
        line.partition(" ")[0] + " " + garbage if number in places else line
        for number, line in enumerate(ANSWERS[name])
    ]
    state = parse_probe("n1", lines)
    assert state.reached or (state.problem and state.data.value == "unknown")


@given(st.lists(st.text(max_size=30), max_size=8))
def test_what_is_no_answer_is_never_an_empty_host(lines):
    assert parse_probe("n1", lines).data.value == "unknown"


def test_a_login_without_roots_rights_knows_nothing_of_the_data():
    lines = ["uid 1000" if line == "uid 0" else line for line in LEAST]
    assert parse_probe("n1", lines).data.value == "unknown"


def test_processes_that_nobody_can_look_for_are_not_the_same_as_none(look):
    assert look().blind == ()
    assert read("blind processes").blind == ("processes",)


def test_the_least_answer_is_an_empty_host():
    state = read()
    assert (state.reached, state.data.value, state.endpoint.healthy) == (True, "empty", False)


@pytest.mark.parametrize(
    ("status", "running", "word"),
    [
        ("0", True, "started"),
        ("3", False, "stopped"),
        ("8", True, "starting"),
        ("32", False, "crashed"),
        ("1", False, "status 1"),
    ],
)
def test_openrc_says_whether_the_service_runs(status, running, word):
    service = read(f"service Status={status}", "service FragmentPath=/etc/init.d/etcd").service
    assert (service.running, service.word, service.exists, service.enabled) == (running, word, True, False)


@pytest.mark.parametrize(
    ("active", "running"),
    [("active", True), ("activating", True), ("inactive", False), ("failed", False), ("deactivating", False)],
)
def test_systemd_says_whether_the_service_runs(active, running):
    lines = ["init systemd" if line.startswith("init") else line for line in LEAST[:-1]]
    told = (
        "LoadState=loaded",
        f"ActiveState={active}",
        "SubState=x",
        "FragmentPath=/a",
        "UnitFileState=enabled",
    )
    service = parse_probe("n1", [*lines, *(f"service {line}" for line in told), "end"]).service
    assert (service.running, service.word, service.enabled) == (running, f"{active} (x)", True)


def test_a_record_that_cannot_be_read_is_not_the_same_as_none():
    assert read().record is None
    assert read("record {").record == {}
    assert read("record [1]").record == {}
    assert read("record ").record == {}
    assert read('record {"id": "a"}').record == {"id": "a"}


def test_addresses_are_told_with_what_the_kernel_says_of_them_and_what_is_none_is_passed_over():
    told = read(
        "interface eth0 10.0.0.1/24", "interface eth0 fd00::2/64 temporary", "interface eth1 x/7"
    ).held
    assert told == (
        Held("eth0", "10.0.0.1", 24),
        Held("eth0", "fd00::2", 64, frozenset({"temporary"})),
    )


@pytest.mark.parametrize(
    ("now", "sent", "received", "skew"),
    [
        (100, 99.2, 100.9, 0),
        (100, 100.9, 101.5, 0),  # the host tells whole seconds
        (100, 101.2, 101.4, -0.2),
        (100, 110.0, 111.0, -9.0),
        (100, 98.0, 99.5, 0.5),
        (0, 1.7e9, 1.7e9 + 1, 1 - 1.7e9),
        (2_000_000_000, 1.7e9, 1.7e9 + 1, 299_999_999),
    ],
)
def test_f17_only_a_clock_outside_the_time_of_the_question_is_wrong(now, sent, received, skew):
    found = HostState("n1", now=now, sent=sent, received=received).skew()
    assert found == pytest.approx(skew)


def endpoint(cluster=7, healthy=True, **changes):
    header = {"cluster_id": cluster, "member_id": 1}
    member = {
        "ID": 1,
        "name": "n1",
        "peerURLs": ["https://b:2380", "https://a:2380"],
        "clientURLs": ["https://a:2379"],
    }
    told = {
        "healthy": healthy,
        "status": {"header": header, "leader": 1},
        "members": {"header": header, "members": [member, {"ID": 2, "peerURLs": [], "isLearner": True}]},
    }
    return HostState("x", reached=True, endpoint=Endpoint(**told | changes))


def test_the_cluster_is_what_a_healthy_endpoint_says_of_it():
    seen, ids = see_cluster({"n2": endpoint(), "n1": endpoint(healthy=False)})
    assert ids == {7}
    assert (seen.id, seen.leader, seen.source) == (7, 1, "n2")
    assert [(one.id, one.name, one.learner) for one in seen.members] == [(1, "n1", False), (2, "", True)]
    assert seen.members[0].peer_urls == ("https://a:2380", "https://b:2380")
    assert [one.id for one in seen.voters] == [1]


@pytest.mark.parametrize("changes", [{"healthy": False}, {"members": None}, {"status": None}])
def test_no_cluster_answers_unless_one_endpoint_reads_and_lists(changes):
    assert see_cluster({"n1": endpoint(**changes), "n2": HostState("n2")}) == (None, set())


def test_f04_members_of_several_clusters_are_told_apart():
    assert see_cluster({"n1": endpoint(7), "n2": endpoint(8)})[1] == {7, 8}


def test_an_endpoint_is_read_out_of_etcdctls_own_json():
    told = {"header": {"cluster_id": 9, "member_id": 7}, "version": "3.5.33"}
    listed = {"header": {"cluster_id": 9, "member_id": 7}, "members": []}
    status = json.dumps([{"Endpoint": "https://a:2379", "Status": told}])
    found = read(
        "etcd health yes", f"etcd status {status}", f"etcd members {json.dumps(listed)}", "etcd alarm NOSPACE"
    ).endpoint
    assert (found.healthy, found.status, found.members) == (True, told, listed)
    assert found.alarms == ("NOSPACE",)
    found = read("etcd health no context deadline exceeded", "etcd status [", "etcd denied no").endpoint
    assert (found.healthy, found.error, found.status) == (False, "context deadline exceeded", None)
    assert (found.untold, found.denied) == ("[", "no")


@pytest.mark.parametrize(
    ("word", "why", "text"),
    [
        ("status", "untold", '{"level":"warn","msg":"unrecognized environment variable"}'),
        ("status", "untold", "[]"),
        ("status", "untold", '[{"Endpoint":"a","Status":{"version":"3.6.14"}}]'),
        ("members", "denied", '{"level":"warn","msg":"unrecognized environment variable"}'),
        ("members", "denied", '{"header":{"cluster_id":1},"members":[{"name":"n1"}]}'),
        ("members", "denied", "null"),
    ],
)
def test_an_answer_that_cannot_be_read_is_none_and_is_quoted(word, why, text):
    found = read("etcd health yes", f"etcd {word} {text}").endpoint
    assert getattr(found, word) is None
    assert getattr(found, why) == text

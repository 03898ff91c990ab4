"""What should lie on a member's host, and what of it a process is restarted for."""

import hashlib
import json
import os
import re
import subprocess
import time
from dataclasses import replace

import pytest
import yaml

from etcd_steward.commands import MAY_START_EMPTY
from etcd_steward.desired import MARKER, PROFILE, desired, managed_paths, record_path
from etcd_steward.observed import HostState
from etcd_steward.platforms import INITS
from etcd_steward.record import Record
from etcd_steward.settings import CERTIFICATE_FILES, read_settings
from etcd_steward.topology import build_cluster
from etcd_steward.versions import Version

AUTHORITIES = ("clients' authority\n", "members' authority\n")
V3533 = Version(3, 5, 33)


def make(names=("n1", "n2", "n3"), **data):
    settings = {
        name: read_settings(name, {"etcd_cluster": "pi", "etcd_address": f"10.0.0.{name[1:]}", **data})[0]
        for name in names
    }
    cluster, complaints = build_cluster("pi", settings, {}, {})
    assert complaints == []
    return cluster


CLUSTER = make()
RECORD = Record("pi", "cdf818194e3a8c32", "pi-3f9a01bc", open=False, members={})


def want(cluster=CLUSTER, record=RECORD, version=V3533, init="openrc", machine="x86_64", authorities=AUTHORITIES, name="n1"):  # fmt: skip
    state = HostState(name, reached=True, init=init, machine=machine)
    return desired(cluster, cluster.member(name), state, record, version, authorities)


def file(wanted, ending):
    (found,) = [one for one in wanted.files if one.path.endswith(ending)]
    return found


def due(one, other):
    """Say what a process would have to be restarted for."""
    return {word for word in one.started if one.started[word] != other.started[word]}


def test_every_file_is_among_the_paths_that_the_probe_looks_at():
    for init in INITS:
        wanted = want(init=init)
        looked_at = managed_paths(CLUSTER.settings, "n1")
        assert {one.path for one in wanted.files} <= set(looked_at)
    assert len(looked_at) == len(set(looked_at))
    assert {path for path in looked_at if "/pki/" in path} == {
        f"/etc/etcd/pki/{name}" for name in CERTIFICATE_FILES.values()
    }


def test_every_file_that_we_make_says_so_and_no_key_is_among_them():
    for init in INITS:
        for one in want(init=init).files:
            assert MARKER in one.content or "etcd-steward" in one.content or one.content in AUTHORITIES
            assert "PRIVATE KEY" not in one.content


def test_a_formed_member_is_existing_and_one_that_is_made_is_new():
    formed, making = want(), want(record=replace(RECORD, open=True))
    assert yaml.safe_load(file(formed, "conf.yml").content)["initial-cluster-state"] == "existing"
    assert yaml.safe_load(file(making, "conf.yml").content)["initial-cluster-state"] == "new"
    assert "holds no write-ahead log" in file(formed, "-start").content
    assert "holds no write-ahead log" not in file(making, "-start").content


def test_the_token_is_the_records():
    config = yaml.safe_load(file(want(), "conf.yml").content)
    assert config["initial-cluster-token"] == "pi-3f9a01bc"


@pytest.mark.parametrize(
    "other",
    [
        want(record=replace(RECORD, open=True)),
        want(record=replace(RECORD, token="pi-00000000")),
        want(make(("n1", "n2", "n3", "n4", "n5"))),
        want(make(("n3", "n2", "n1"))),
        want(make(etcd_profile=False)),
        want(make(etcd_certificate_days=90, etcd_renew_days=10)),
        want(make(etcd_timeout=600)),
    ],
    ids=["open", "token", "growth", "order", "profile", "days", "timeout"],
)
def test_f18_nobody_is_restarted_for_what_no_running_process_reads(other):
    assert due(want(), other) == set()
    assert want().settled == other.settled


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (want(make(etcd_config={"heartbeat-interval": 150})), {"config"}),
        (want(make(etcd_client_port=4001)), {"config"}),
        (want(make(etcd_listen_address="0.0.0.0")), {"config"}),
        (want(version=Version(3, 5, 32)), {"binary"}),
        (want(authorities=("new\n", AUTHORITIES[1])), {"authorities"}),
        (want(authorities=(AUTHORITIES[0], "new\n")), {"authorities"}),
        (want(make(etcd_data_dir="/srv/etcd")), {"config"}),
    ],
    ids=["config", "port", "listen", "release", "authority", "peer authority", "data"],
)
def test_f18_a_restart_is_due_for_what_a_running_process_has_read(other, words):
    assert due(want(), other) == words


def test_f18_a_restart_is_due_for_another_service_definition():
    moved = want(make(etcd_data_dir="/srv/etcd"), init="systemd")
    assert due(want(init="systemd"), moved) == {"config", "definition"}


def test_the_service_definition_is_that_of_the_init_system():
    for name, init in INITS.items():
        path = init.definition.format(name="etcd")
        found = file(want(init=name), path)
        assert found.mode == init.mode
        assert found.turn


def test_the_data_folders_are_waited_for_and_writable_under_systemd():
    unit = file(
        want(make(etcd_data_dir="/srv/etcd", etcd_wal_dir="/ssd/wal"), init="systemd"), ".service"
    ).content
    assert "RequiresMountsFor=/srv/etcd /ssd/wal" in unit
    assert "ReadWritePaths=/srv/etcd /ssd/wal" in unit
    assert "ProtectHome=yes" in unit
    assert (
        "ProtectHome=no"
        in file(want(make(etcd_data_dir="/home/pi/etcd"), init="systemd"), ".service").content
    )


@pytest.mark.parametrize(
    ("version", "machine", "value"),
    [
        (V3533, "x86_64", None),
        (V3533, "aarch64", None),
        (Version(3, 4, 44), "aarch64", "arm64"),
        (V3533, "armv7l", "arm"),
    ],
)
def test_f46_etcd_is_told_of_a_machine_that_it_does_not_support(version, machine, value):
    for init, ending in (("systemd", ".service"), ("openrc", "init.d/etcd")):
        content = file(want(version=version, machine=machine, init=init), ending).content
        assert re.findall(r"ETCD_UNSUPPORTED_ARCH=(\w+)", content) == ([value] if value else [])


def test_what_bears_on_the_process_is_written_in_its_turn_only():
    turns = {one.path: one.turn for one in want().files}
    assert {path for path, turn in turns.items() if not turn} == {
        "/etc/etcd-steward/etcd-start",
        record_path("pi"),
        PROFILE,
    }


def test_the_configuration_may_be_read_by_etcd_and_written_by_root_alone():
    found = file(want(), "conf.yml")
    assert (found.owner, found.mode) == ("root:etcd", "640")
    assert all(one.owner.startswith("root:") for one in want().files)


def test_the_record_on_the_host_tells_where_its_data_is():
    told = json.loads(file(want(make(etcd_data_dir="/srv/etcd")), "etcd-steward/pi.json").content)
    assert (told["id"], told["open"], told["data_dir"]) == (RECORD.id, False, "/srv/etcd")


def test_the_login_shells_get_every_endpoint_and_the_operators_certificate():
    content = file(want(), PROFILE).content
    shown = subprocess.run(
        ["sh", "-c", f"{content}\nprintf '%s %s %s' $ETCDCTL_ENDPOINTS $ETCDCTL_CERT $PATH"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert shown.startswith(
        "https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379 /etc/etcd/pki/client.pem"
    )
    assert PROFILE not in {one.path for one in want(make(etcd_profile=False)).files}


def below(folder, content):
    """Let a script work below a folder instead of on this machine."""
    return re.sub(r"(?<![\w.])/(etc|var|usr|opt|run)/", rf"{folder}/\1/", content)


@pytest.fixture
def started(tmp_path):
    """Put a member's files below a folder, and give what runs its check before the start."""

    def start(wanted, *, segment):
        for one in wanted.files:
            path = tmp_path / one.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(one.content)
        for folder in (
            "run/etcd-steward",
            "var/lib/etcd/member/wal",
            "usr/local/bin",
            f"opt/etcd/{wanted.version}",
        ):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / f"opt/etcd/{wanted.version}/etcd").write_text("")
        (tmp_path / "usr/local/bin/etcd").symlink_to(tmp_path / f"opt/etcd/{wanted.version}/etcd")
        if segment:
            (tmp_path / "var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal").write_text("")
        check = tmp_path / "check"
        check.write_text(below(tmp_path, file(wanted, "-start").content))
        return subprocess.run(["sh", check, "echo", "started"], capture_output=True, text=True, check=False)

    return start


@pytest.mark.parametrize("init", INITS)
def test_what_a_process_notes_at_its_start_is_what_is_wanted(started, tmp_path, init):
    wanted = want(init=init)
    done = started(wanted, segment=True)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    noted = (tmp_path / "run/etcd-steward/started-with").read_text().replace(str(tmp_path), "")
    assert dict(line.split(" ", 1) for line in noted.splitlines()) == dict(wanted.started)


def test_f02_a_formed_member_without_its_log_is_not_started(started, tmp_path):
    done = started(want(), segment=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "holds no write-ahead log, but this member has had one; not starting it empty" in done.stderr
    assert not (tmp_path / "run/etcd-steward/started-with").exists()


@pytest.mark.parametrize(("minutes", "allowed"), [(1, True), (11, False)])
def test_f02_the_consent_to_start_without_a_log_ends_by_itself(started, tmp_path, minutes, allowed):
    consent = tmp_path / MAY_START_EMPTY.lstrip("/")
    consent.parent.mkdir(parents=True)
    consent.touch()
    then = time.time() - 60 * minutes
    os.utime(consent, (then, then))
    assert (started(want(), segment=False).returncode == 0) is allowed


def test_f02_the_consent_to_start_without_a_log_is_gone_once_there_is_one(started, tmp_path):
    consent = tmp_path / MAY_START_EMPTY.lstrip("/")
    consent.parent.mkdir(parents=True)
    consent.touch()
    assert started(want(), segment=True).returncode == 0
    assert not consent.exists()


def test_a_member_that_is_being_made_is_started_without_a_log(started):
    assert started(want(record=replace(RECORD, open=True)), segment=False).returncode == 0


def test_the_digest_of_a_file_is_that_of_its_content():
    for one in want().files:
        assert one.sha256 == hashlib.sha256(one.content.encode()).hexdigest()

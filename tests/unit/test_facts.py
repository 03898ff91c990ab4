"""What is promised about the facts that are slices of the one probe, on answers that real targets gave."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etcd_steward.facts import certificates, health, member, platform, versions
from etcd_steward.parsing import parse_probe

DATA = Path(__file__).parents[1] / "data"
SLICES = (
    platform.Platform,
    health.Health,
    certificates.Certificates,
    versions.Versions,
    member.Member,
)


def lines(name):
    return (DATA / f"probe-{name}.txt").read_text().splitlines()


def state(name):
    found = parse_probe(name, lines(name))
    assert found.reached, found.problem
    return found


@pytest.mark.parametrize("name", ["empty-alpine", "member-alpine", "member-ubuntu"])
@pytest.mark.parametrize("fact", SLICES)
def test_every_slice_is_plain_json(fact, name):
    found = fact().process(lines(name))
    assert found is not None
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("fact", SLICES)
def test_half_an_answer_is_none(fact):
    assert fact().process(lines("member-alpine")[:-1]) is None
    assert fact().process([]) is None


@pytest.mark.parametrize("fact", SLICES)
def test_the_docstring_shows_exactly_the_keys_that_are_told(fact):
    example = json.loads(fact.__doc__.partition(".. code:: json")[2])
    found = fact().process(lines("member-ubuntu"))
    if fact is certificates.Certificates:
        (example,), found = example.values(), found["/etc/etcd/pki/server.pem"]
    assert list(found) == list(example)


@pytest.mark.parametrize("fact", SLICES)
def test_no_slice_tells_anything_of_a_key(fact):
    told = json.dumps(fact().process(lines("member-ubuntu")))
    assert "-key" not in told
    assert "PRIVATE" not in told


@pytest.mark.parametrize(
    ("name", "arch", "os", "init", "packages"),
    [
        ("empty-alpine", "amd64", "alpine", "openrc", "apk"),
        ("member-ubuntu", "amd64", "ubuntu", "systemd", "apt"),
    ],
)
def test_the_platform_is_told(name, arch, os, init, packages):
    found = platform.describe(state(name))
    assert (found["arch"], found["os"], found["init"], found["packages"]) == (arch, os, init, packages)
    assert found["supported"] is True


def test_a_host_without_etcd_has_no_member():
    assert member.describe(state("empty-alpine")) == {
        "id": None,
        "cluster": None,
        "data": "empty",
        "missing": "",
        "aside": [],
        "service": "absent",
        "running": False,
        "enabled": False,
        "config": None,
    }


@pytest.mark.parametrize(
    ("name", "service"), [("member-alpine", "started"), ("member-ubuntu", "active (running)")]
)
def test_a_member_is_told_by_its_write_ahead_log(name, service):
    found = member.describe(state(name))
    header = state(name).endpoint.status["header"]
    assert (found["id"], found["cluster"]) == (f"{header['member_id']:016x}", f"{header['cluster_id']:016x}")
    assert (found["data"], found["service"]) == ("complete", service)
    assert (found["running"], found["enabled"], found["config"]) == (True, True, "/etc/etcd/conf.yml")


def test_the_health_of_a_host_without_etcd_is_that_it_gives_no_answer():
    found = health.describe(state("empty-alpine"))
    assert (found["healthy"], found["error"], found["role"], found["raft_index"]) == (
        False,
        "no answer",
        None,
        None,
    )


def test_the_health_of_a_member_is_told_with_its_numbers():
    found = health.describe(state("member-ubuntu"))
    assert (found["healthy"], found["error"], found["alarms"], found["role"]) == (True, "", [], "follower")
    assert found["leader"] == "fda3b28f5a0b5ced"
    assert (found["db_size"], found["db_in_use"]) == (20480, 16384)
    assert found["raft_index"] == found["raft_applied"] == 21
    assert found["raft_term"] == 2


@pytest.mark.parametrize(
    ("status", "role"),
    [
        ({}, None),
        ({"header": {"member_id": 5}, "leader": 5}, "leader"),
        ({"header": {"member_id": 5}, "leader": 6}, "follower"),
        ({"header": {"member_id": 5}}, "follower"),
        ({"header": {"member_id": 5}, "leader": 6, "isLearner": True}, "learner"),
    ],
)
def test_the_role_is_read_from_the_status(status, role):
    assert health.role(status) == role


def test_every_certificate_is_told_with_its_days():
    found = certificates.describe(state("member-ubuntu"), datetime(2026, 11, 22, tzinfo=UTC))
    names = {path.rpartition("/")[2] for path in found}
    assert names == {"ca.pem", "peer-ca.pem", "server.pem", "peer.pem", "client.pem", "health.pem"}
    server = found["/etc/etcd/pki/server.pem"]
    assert server["common_name"] == "n2"
    assert {"localhost", "127.0.0.1", "198.18.120.12"} <= set(server["names"])
    assert server["issuer"] == "CN=etcd client CA of etcd"
    assert server["days"] == 729
    assert datetime.fromisoformat(server["not_after"]) > datetime.fromisoformat(server["not_before"])


def test_an_expired_certificate_has_negative_days():
    late = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(days=731)
    assert certificates.describe(state("member-ubuntu"), late)["/etc/etcd/pki/server.pem"]["days"] == -2


def test_what_is_no_certificate_is_none():
    text = [line for line in lines("member-ubuntu") if "/server.pem " not in line or "--" in line]
    found = certificates.describe(parse_probe("", text), datetime(2026, 11, 22, tzinfo=UTC))
    assert found["/etc/etcd/pki/server.pem"] is None
    assert found["/etc/etcd/pki/peer.pem"] is not None


def test_a_host_without_etcd_has_no_certificates_and_no_releases():
    assert certificates.describe(state("empty-alpine"), datetime(2026, 11, 22, tzinfo=UTC)) == {}
    assert versions.describe(state("empty-alpine")) == {"running": None, "linked": None, "installed": []}


def test_the_releases_of_a_member_are_told():
    found = versions.describe(state("member-ubuntu"))
    assert found == {"running": "3.5.1", "linked": "3.5.1", "installed": ["3.5.1"]}


def test_releases_are_sorted_by_their_numbers():
    more = [f"release {version} {'0' * 64}" for version in ("3.5.30", "3.5.4", "3.6.1")]
    text = lines("member-ubuntu")
    found = versions.describe(parse_probe("", [*text[:-1], *more, text[-1]]))
    assert found["installed"] == ["3.5.1", "3.5.4", "3.5.30", "3.6.1"]


def test_a_link_that_leads_elsewhere_is_no_release():
    text = [line.replace("/opt/etcd/3.5.1/etcd", "/usr/bin/etcd") for line in lines("member-ubuntu")]
    assert versions.describe(parse_probe("", text))["linked"] is None

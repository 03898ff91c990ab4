"""What a member cannot live with is refused before: ports, logs that would vanish, names that mean another place."""

import os
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.addresses import Held
from etcd_steward.facts.probe import questions
from etcd_steward.observed import HostState
from etcd_steward.parsing import parse_probe
from etcd_steward.preflight import check_host
from etcd_steward.settings import Settings, read_settings
from etcd_steward.topology import build_cluster


def told(**data):
    return [str(one) for one in read_settings("n1", {"etcd_address": "10.0.0.1", **data})[1]]


@given(st.integers(1, 1023))
def test_a_port_that_only_root_may_listen_on_is_refused_with_the_reason(port):
    for key in ("etcd_client_port", "etcd_peer_port"):
        (text,) = told(**{key: port})
        assert f"found {key} {port}, wanted 1024 or more" in text
    (text,) = told(etcd_config={"listen-metrics-urls": f"http://127.0.0.1:{port}"})
    assert f"found listen-metrics-urls {port}, wanted 1024 or more" in text


@pytest.mark.parametrize("urls", ["http://127.0.0.1:2379", ["http://127.0.0.1:2390", "https://[::1]:2380/"]])
def test_metrics_need_a_port_of_their_own(urls):
    (text,) = told(etcd_config={"listen-metrics-urls": urls})
    assert "among listen-metrics-urls too" in text
    assert told(etcd_config={"listen-metrics-urls": "http://127.0.0.1:2381"}) == []


@pytest.mark.parametrize(
    "path",
    ["/var/log/etcd/etcd.log", "etcd.log", "/var/lib/etcd/../x.log", "/var/lib/etcd2/x.log", "/var/lib/etcd"],
)
def test_logs_that_would_vanish_are_refused(path):
    (text,) = told(etcd_config={"log-outputs": [path]})
    assert "a file outside the folders that etcd may write to" in text
    (text,) = told(etcd_config={"log-outputs": [path], "enable-log-rotation": True})
    assert "outside the folders" in text


@pytest.mark.parametrize(
    "outputs", [["stderr"], ["default"], ["systemd/journal", "stdout"], ["/var/lib/etcd/logs/etcd.log"]]
)
def test_logs_that_arrive_are_accepted(outputs):
    assert told(etcd_config={"log-outputs": outputs}) == []


def members(**data):
    own = {
        name: read_settings(name, {"etcd_address": f"{name}.lan", **data, "etcd_listen_address": listen})[0]
        for name, listen in (("n1", "10.0.0.1"), ("n2", "10.0.0.2"))
    }
    cluster, complaints = build_cluster("c", own, {}, {})
    assert complaints == []
    return cluster.members


def state(**resolved):
    names = {f"{name}.lan": addresses for name, addresses in resolved.items()}
    return HostState(
        "n1",
        reached=True,
        uid=0,
        init="systemd",
        machine="x86_64",
        free_mb=9999,
        held=(Held("eth0", "10.0.0.1", 24),),
        resolved=names,
    )


def judged(member, seen):
    return [str(one) for one in check_host(member, seen, "bootstrap", restarts=True)]


@pytest.mark.parametrize("loopback", ["127.0.0.1", "127.0.1.1", "::1"])
def test_a_name_that_means_loopback_on_a_host_is_refused_with_that_reason(loopback):
    first, _ = members()
    (text,) = judged(first, state(n1=(loopback,), n2=("10.0.0.2",)))
    assert f"its own name n1.lan meaning {loopback} on this host" in text
    (text,) = judged(first, state(n1=("10.0.0.1",), n2=(loopback, "10.0.0.2")))
    assert f"the name n2.lan of another member meaning {loopback}" in text


def test_another_members_name_that_means_this_host_is_refused():
    first, _ = members()
    (text,) = judged(first, state(n1=("10.0.0.1",), n2=("10.0.0.1",)))
    assert "which is this host itself" in text


def test_right_names_and_a_member_that_listens_everywhere_are_no_reason():
    first, _ = members()
    assert judged(first, state(n1=("10.0.0.1",), n2=("10.0.0.2",))) == []
    assert judged(replace(first, listen="0.0.0.0"), state(n1=("127.0.1.1",), n2=("10.0.0.2",))) == []


def test_the_probe_tells_what_names_mean(tmp_path):
    """With the host's own tools: localhost is known everywhere, and `.invalid` nowhere (RFC 6761)."""
    folders = {"etcd_data_dir": str(tmp_path / "data"), "etcd_snapshot_dir": str(tmp_path / "snapshots")}
    script = questions(Settings().model_copy(update=folders), "n1", ("localhost", "n1.invalid"))
    done = subprocess.run(
        ["sh", "-c", script + ""],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    seen = parse_probe("n1", done.stdout.splitlines())
    assert seen.reached, seen.problem
    assert set(seen.resolved["localhost"]) <= {"127.0.0.1", "::1"}
    assert seen.unresolved == ("n1.invalid",)
    # A member that has data asks again when it starts.
    wal = tmp_path / "data/member/wal"
    wal.mkdir(parents=True)
    (wal / "0.wal").write_bytes(b"")
    again = subprocess.run(["sh", "-c", script + ""], capture_output=True, text=True, check=True)
    assert parse_probe("n1", again.stdout.splitlines()).unresolved == ("n1.invalid",)

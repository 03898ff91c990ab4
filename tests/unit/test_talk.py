"""Questions to members while a run goes on, with the answers that etcdctl really gives."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import talk
from etcd_steward.settings import read_settings
from etcd_steward.talk import (
    Status,
    await_healthy,
    ctl,
    hand_over,
    last_errors,
    look_at,
    reach_peers,
    why_it_ended,
    why_kubelet_ended,
    why_unreached,
)
from etcd_steward.topology import build_cluster

CLUSTER, _ = build_cluster(
    "pi",
    {f"n{number}": read_settings("", {"etcd_address": f"10.0.0.{number}"})[0] for number in (1, 2, 3)},
    {},
    {},
)
N1, N2, N3 = CLUSTER.members
URLS = {member.name: member.client_url for member in CLUSTER.members}


def status(member=7, applied=42, index=42, leader=7):
    """Write what `etcdctl endpoint status -w json` prints."""
    header = {"cluster_id": 9, "member_id": member, "revision": 3, "raft_term": 2}
    told = {
        "header": header,
        "version": "3.5.33",
        "leader": leader,
        "raftIndex": index,
        "raftAppliedIndex": applied,
    }
    return json.dumps([{"Endpoint": "https://127.0.0.1:2379", "Status": told}])


@pytest.fixture
def answers(monkeypatch):
    """Let questions be answered from a list, or by a function; give what was asked."""
    asked = []

    def use(told):
        def ask(_run, host, question):
            asked.append((host, question + ""))
            return told(question + "") if callable(told) else told.pop(0)

        monkeypatch.setattr(talk, "ask", ask)
        return asked

    return use


@pytest.fixture
def run():
    """Make a run that only logs."""
    logged = []
    host = SimpleNamespace(log=logged.append)
    planned = (SimpleNamespace(hosts={"n1": SimpleNamespace(init="openrc")}), None)
    return SimpleNamespace(
        hosts=dict.fromkeys(("n1", "n2", "n3"), host), logged=logged, planned=lambda: planned
    )


@pytest.fixture
def clock(monkeypatch):
    """Let every look at the clock take three seconds."""
    times = iter(range(0, 10_000, 3))
    monkeypatch.setattr(talk, "time", SimpleNamespace(monotonic=lambda: next(times)))
    monkeypatch.setattr(talk, "gevent", SimpleNamespace(sleep=lambda _seconds: None))


def test_a_status_is_read_out_of_etcdctls_json():
    assert Status.read(status()) == Status(
        cluster=9, member=7, leader=7, version="3.5.33", index=42, applied=42
    )


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["Status", "header", "version", "cluster_id", "member_id"]), inner
            )
        ),
    ).map(json.dumps)
    | st.text(max_size=20)
)
def test_anything_else_is_no_status_and_never_an_error(text):
    assert Status.read(text) is None or "version" in text


def test_the_questions_are_asked_with_the_health_pair_and_the_peers_with_the_peer_pair():
    question = ctl(N1, "await.sh", endpoint="x") + ""
    assert "cert=/etc/etcd/pki/health.pem" in question
    assert "ca=/etc/etcd/pki/ca.pem" in question
    question = ctl(N1, "peers.sh", role="peer", peers=[]) + ""
    assert "cert=/etc/etcd/pki/peer.pem" in question
    assert "ca=/etc/etcd/pki/peer-ca.pem" in question


def test_a_healthy_member_is_not_waited_for(answers, run):
    asked = answers([[f"status {status()}"]])
    found, said = await_healthy(run, N1, 90)
    assert (found.member, said) == (7, "")
    assert [host for host, _ in asked] == ["n1"]
    assert run.logged == []


def test_a_member_is_waited_for_until_it_is_healthy_and_has_caught_up(answers, run, monkeypatch):
    monkeypatch.setattr(talk, "_SAY_EVERY_S", 0)
    answers(
        [
            ["waiting connection refused"],
            [],
            [f"status {status(applied=41)}"],
            [f"status {status(applied=42)}"],
        ]
    )
    found, _ = await_healthy(run, N1, 90, applied=42)
    assert found.applied == 42
    assert len(run.logged) == 3
    assert "(connection refused)" in run.logged[0]
    assert "(it has applied log entry 41 of 42)" in run.logged[2]


def test_a_learner_is_asked_for_its_status_alone_and_waited_for_until_it_has_caught_up(answers, run):
    asked = answers([[f"status {status(applied=41)}"], [f"status {status(applied=42)}"]])
    found, _ = await_healthy(run, N1, 90, applied=42, learner=True)
    assert found.applied == 42
    assert all("\nlearner=yes\n" in text for _, text in asked)
    assert run.logged == [
        "waiting for n1 to catch up: 0 s of 90 s (it has applied log entry 41 of 42)",
    ]


def test_waiting_ends_and_tells_what_was_said_last(answers, run, clock):
    asked = answers(lambda _question: ["waiting connection refused"])
    assert await_healthy(run, N1, 30) == (None, "connection refused")
    assert len(asked) <= 6


def test_a_member_that_says_nothing_gave_no_answer(answers, run, clock):
    answers(lambda _question: [])
    assert await_healthy(run, N1, 30) == (None, "no answer")


def test_the_host_is_never_asked_to_wait_longer_than_is_left(answers, run, clock):
    asked = answers(lambda _question: [])
    await_healthy(run, N1, 12)
    waits = [
        int(line.partition("=")[2])
        for _, text in asked
        for line in text.splitlines()
        if line.startswith("seconds=")
    ]
    assert max(waits) <= 8
    assert min(waits) >= 1
    assert waits == sorted(waits, reverse=True)


def test_the_others_are_looked_at_from_one_host_and_each_says_for_itself(answers, run):
    asked = answers(
        [[f"status {N2.client_url} {status(member=2)}", f"down {N3.client_url} connection refused", "noise"]]
    )
    healthy, down = look_at(run, N1, {"n2": N2.client_url, "n3": N3.client_url})
    assert [host for host, _ in asked] == ["n1"]
    assert {name: found.member for name, found in healthy.items()} == {"n2": 2}
    assert down == {"n3": "connection refused"}


@pytest.mark.parametrize(
    "lines", [[], ["status"], [f"status https://10.9.9.9:2379 {status()}"], [f"status {URLS['n2']} ["]]
)
def test_who_says_nothing_sensible_is_down(answers, run, lines):
    answers([lines])
    healthy, down = look_at(run, N1, {"n2": N2.client_url})
    assert healthy == {}
    assert set(down) == {"n2"}


def test_leadership_is_moved_by_the_heirs_id_in_hexadecimal(answers, run):
    asked = answers([["moved"]])
    assert hand_over(run, N2, N1.client_url, 0xABCDEF)
    assert "heir=abcdef" in asked[0][1]
    assert f"endpoint={N1.client_url}" in asked[0][1]
    answers([["Error: etcdserver: not leader"]])
    assert not hand_over(run, N2, N1.client_url, 1)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("https://10.0.0.2:2380 is healthy: successfully committed proposal: took = 2ms", ""),
        (
            '{"level":"warn","error":"rpc error: code = Unimplemented desc = unknown service"} Error: unhealthy cluster',
            "",
        ),
        ('"rpc error: code = Unavailable desc = connection closed before server preface received"', ""),
        (
            "authentication handshake failed: credentials: cannot check peer: missing selected ALPN property",
            "",
        ),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", ""),
        (
            'latest balancer error: last connection error: connection error: desc = "transport: Error while dialing dial tcp 10.0.0.2:2380: connect: connection refused"',
            "Error while dialing dial tcp 10.0.0.2:2380: connect: connection refused",
        ),
        (
            'desc = "transport: authentication handshake failed: x509: certificate signed by unknown authority"',
            "authentication handshake failed: x509: certificate signed by unknown authority",
        ),
        ('desc = "remote error: tls: bad certificate"', "remote error: tls: bad certificate"),
        ("context deadline exceeded", "no answer in time"),
        ("", "no answer in time"),
    ],
)
def test_f48_a_peer_port_is_reached_once_its_tls_was_spoken(said, why):
    assert why_unreached(said) == why


def test_every_peer_is_tried_and_the_slow_ones_a_second_time_with_patience(answers, run):
    refused = "Error while dialing dial tcp: connection refused"
    asked = answers(
        [
            [
                f"peer {N1.peer_url} is healthy",
                f"peer {N2.peer_url} context deadline exceeded",
                f"peer {N3.peer_url} {refused}",
            ],
            [f"peer {N2.peer_url} is healthy", f"peer {N3.peer_url} {refused}"],
        ]
    )
    assert reach_peers(run, N1, list(CLUSTER.members)) == [f"{N3.peer_url}: {refused}"]
    assert f"peers='{N2.peer_url} {N3.peer_url}'" in asked[1][1]
    assert "seconds=6" in asked[1][1]


def test_peers_that_are_all_reached_are_asked_once(answers, run):
    asked = answers([[f"peer {member.peer_url} is healthy" for member in CLUSTER.members]])
    assert reach_peers(run, N1, list(CLUSTER.members)) == []
    assert len(asked) == 1


def test_a_host_that_cannot_ask_has_reached_nobody(answers, run):
    answers(lambda _question: [])
    assert reach_peers(run, N1, [N2]) == [f"{N2.peer_url}: no answer"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], ""),
        (
            ["Nov 21 12:00:00 pi-1 daemon.info etcd: panic: tocommit is out of range"],
            "panic: tocommit is out of range",
        ),
        (["Nov 21 12:00:00 pi-1 etcd[4711]: bind: address already in use"], "bind: address already in use"),
    ],
)
def test_the_last_error_of_the_log_is_told_without_its_date_and_host(answers, run, lines, told):
    answers([lines])
    assert last_errors(run, N1) == told


PANIC = "panic: unmarshal should never fail (proto: cannot parse invalid wire-format data) [recovered]"
TRACE = [
    "\tpanic: execute job failed",
    "goroutine 146 [running]:",
    "panic({0x1a2b3c?, 0xc000123?})",
    "\truntime/panic.go:860 +0x132",
]
BEGUN = '{"level":"info","msg":"starting an etcd server","etcd-version":"3.7.1"}'
# As 3.7.1 wrote it on a log with entries of 3.5.
RECORDED = (
    '{"level":"panic","caller":"schedule/schedule.go:202","msg":"execute job failed","job":"server_applyAll",'
    '"panic":"unmarshal should never fail (proto: cannot parse invalid wire-format data)"}'
)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([BEGUN, PANIC, *TRACE], PANIC),
        ([BEGUN, RECORDED, *TRACE[1:]], RECORDED),
        ([BEGUN, PANIC, *TRACE, BEGUN], PANIC),
        (
            [BEGUN, PANIC, *TRACE, BEGUN, '{"level":"fatal","msg":"discovery failed"}'],
            '{"level":"fatal","msg":"discovery failed"}',
        ),
        ([PANIC, *TRACE], PANIC),
        ([BEGUN, PANIC, *TRACE, BEGUN, BEGUN, "bind: an error"], "bind: an error"),
        (["an error", "\truntime/panic.go:860 +0x132"], "an error"),
        ([BEGUN], ""),
    ],
)
def test_the_cause_of_a_crash_is_told_and_never_a_line_of_its_trace(lines, told):
    assert why_it_ended(lines) == told


# Out of the journal of kubelet 1.36.2 on a host whose cgroups it cannot use.
KUBELETS_ERRORS = [
    'E1127 20:52:47.343977    4097 server.go:1287] "Failed to set rlimit on max file handles" err="operation not permitted"',
    'E1127 20:52:47.559798    4097 kubelet.go:1839] "Failed to start ContainerManager" err="failed to initialize top level QOS containers"',
]
KUBELET_ENDS = "kubelet.service: Main process exited, code=exited, status=1/FAILURE"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([*KUBELETS_ERRORS, KUBELET_ENDS], '"Failed to start ContainerManager" err="failed to initialize'),
        # The next one has just been started, and an earlier one had another reason.
        (
            [KUBELETS_ERRORS[0], KUBELET_ENDS, KUBELETS_ERRORS[1], KUBELET_ENDS, KUBELETS_ERRORS[0]],
            '"Failed to start ContainerManager"',
        ),
        (KUBELETS_ERRORS, ""),  # it goes on
        ([KUBELET_ENDS], ""),
        ([], ""),
    ],
)
def test_why_kubelet_ended_is_its_last_error_before_it_did(lines, told):
    found = why_kubelet_ended(lines)
    assert found.startswith(told)
    assert bool(found) is bool(told)

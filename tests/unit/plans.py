"""What probes and a cluster tell, made up for the table that decides."""

import re
from dataclasses import replace

from etcd_steward.identity import Identity
from etcd_steward.observed import (
    NO_LOG,
    ClusterState,
    Data,
    HostState,
    ListedMember,
    Process,
)
from etcd_steward.plan import decide
from etcd_steward.record import Record
from etcd_steward.settings import read_settings
from etcd_steward.topology import build_cluster, cluster_id, member_id

CONF = "/etc/etcd/conf.yml"
FOREIGN = 0xF0E1D2C3B4A59687
REMOVED = 0x1234567890ABCDEF
SENTENCE = re.compile(r".+: found .+, wanted .+; next: .+")


def make_cluster(count=3, **data):
    own = {
        f"n{number}": read_settings(f"n{number}", {"etcd_address": f"10.0.0.{number}", **data})[0]
        for number in range(1, count + 1)
    }
    cluster, complaints = build_cluster("pi", own, {}, {})
    assert complaints == []
    return cluster


CLUSTER = make_cluster()
TOKEN = "pi-3f9a01bc"
IDS = {member.name: member_id([member.peer_url], TOKEN) for member in CLUSTER.members}
CLUSTER_ID = cluster_id(IDS.values())
OPEN = Record(
    "pi",
    f"{CLUSTER_ID:016x}",
    TOKEN,
    open=True,
    members={name: f"{number:016x}" for name, number in IDS.items()},
)
CLOSED = OPEN.closed()
OTHER = replace(CLOSED, id=f"{FOREIGN:016x}", members={})
OUR_PROCESS = Process(7, "/usr/local/bin/etcd", CONF)
OTHER_PROCESS = Process(9, "/usr/bin/etcd", "")


def host(name, data="empty", **changes):
    """Make what a probe tells of one host; data as `empty`, `begun`, `half`, `unknown`, or a member's name or id."""
    if isinstance(data, Data):
        found = data
    elif data in {"half", "begun"}:
        found = Data("half", missing=NO_LOG, size=16384 if data == "begun" else 1 << 20)
    elif data in {"unknown", "empty"}:
        found = Data(data)
    else:
        number, cluster = data if isinstance(data, tuple) else (IDS.get(data, data), CLUSTER_ID)
        found = Data("complete", Identity(number, cluster), size=20480)
    state = HostState(name, reached=True, problem="", uid=0, init="openrc", data=found)
    return replace(state, **changes)


def silent(name):
    return HostState(name, problem="no route to host")


def hosts(*states):
    return {state.host: state for state in states}


def all_empty(**changes):
    return hosts(*(host(name, **changes) for name in IDS))


def all_with_data(**changes):
    return hosts(*(host(name, name, **changes) for name in IDS))


def listed(name):
    member = CLUSTER.member(name)
    return ListedMember(IDS[name], name, (member.peer_url,), (member.client_url,), learner=False)


def seen(*members, **changes):
    told = members or tuple(map(listed, IDS))
    return replace(ClusterState(CLUSTER_ID, told, IDS["n1"], "n1"), **changes)


def unstarted(name):
    return replace(listed(name), name="", client_urls=())


def decided(states, answer=None, records=None, forget=None, cluster=CLUSTER):
    return decide(cluster, states, answer, records or {}, forget)


def rows(plan):
    return {name: (decision.row, decision.action) for name, decision in plan.decisions.items()}


def refused(states, answer=None, records=None, forget=None, cluster=CLUSTER):
    """Decide, and give all sentences of the refusal; there must be one."""
    plan = decided(states, answer, records, forget, cluster)
    assert plan.refusals
    return [str(refusal) for refusal in plan.refusals]

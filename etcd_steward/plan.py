"""What is to be done, decided from what was seen: the table of docs/architecture.md, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from etcd_steward.errors import Complaint
from etcd_steward.observed import ClusterState, HostState, ListedMember
from etcd_steward.record import Record
from etcd_steward.topology import Cluster, Member

__all__ = ["Action", "Decision", "Plan", "decide", "quorum"]

Action = Literal[
    "bootstrap", "start", "converge", "wait", "join", "finish", "replace", "move", "leave", "refuse"
]


@dataclass(frozen=True)
class Decision:
    """What one host's turn will be.

    Args:
        host: the inventory's name of the host.
        row: the letter of the table's row.
        action: what is done; join, finish, replace, move and leave belong to verbs of their own.
        why: the reason in words.
    """

    host: str
    row: str
    action: Action
    why: str


@dataclass(frozen=True)
class Plan:
    """The decisions of a run.

    Args:
        decisions: one for every host of the cluster.
        refusals: what stops the run before any host is changed.
        notes: what the operator should know.
    """

    decisions: Mapping[str, Decision]
    refusals: tuple[Complaint, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def acting(self, action: Action) -> list[str]:
        """Name the hosts for which an action was decided."""
        return [host for host, decision in self.decisions.items() if decision.action == action]


def quorum(voters: int) -> int:
    """Say how many of the voters must agree.

    Args:
        voters: how many there are.

    Returns:
        The smallest majority.
    """
    return voters // 2 + 1


class _Refusal(Exception):  # noqa: N818 - it is no error of the program
    def __init__(self, row: str, found: str, wanted: str, what_next: str) -> None:
        super().__init__(found)
        self.row, self.found, self.wanted, self.next = row, found, wanted, what_next


def decide(
    cluster: Cluster,
    hosts: Mapping[str, HostState],
    seen: ClusterState | None,
    records: Mapping[str, Record],
    forget: str | None = None,
) -> Plan:
    """Decide every host's action from what was observed.

    Args:
        cluster: the cluster as the settings describe it.
        hosts: what the probes told, one for every host of the cluster.
        seen: what a quorum of the cluster says of itself, or None.
        records: our records by where they lie, the controller's under `the controller`.
        forget: the id of a lost cluster whose traces no longer count.

    Returns:
        The plan; with refusals in it nothing may be changed.
    """
    records = {place: record for place, record in records.items() if record.id != forget}
    decisions: dict[str, Decision] = {}
    refusals: list[Complaint] = []
    doubles = _double_identities(cluster, hosts)
    for member in cluster.members:
        state = hosts[member.host]
        try:
            if not state.reached:
                decision = Decision(member.host, "d", "wait", state.problem)
            else:
                resuming = any(record.open for record in records.values())
                _check_host(member, state, doubles, resuming=resuming)
                decision = (
                    _with_quorum(cluster, member, state, seen, records)
                    if seen
                    else _without_quorum(member, state)
                )
        except _Refusal as refusal:
            decision = Decision(member.host, refusal.row, "refuse", refusal.found)
            refusals.append(Complaint(member.host, refusal.found, refusal.wanted, refusal.next))
        decisions[member.host] = decision
    refusals += _check_records(cluster, seen, records)
    notes = _strangers(cluster, seen) if seen else []
    if seen is None and not refusals:
        return _form(cluster, hosts, records, decisions, forget)
    return Plan(decisions, tuple(refusals), tuple(notes))


def _check_host(member: Member, state: HostState, doubles: Mapping[str, str], *, resuming: bool) -> None:
    settings = member.settings
    for process in state.processes:
        if process.config != settings.config_path:
            found = f"an etcd that is not ours (process {process.pid}, {process.command} {process.config})".replace(
                " )", ")"
            )
            raise _Refusal(
                "f",
                found,
                "no other etcd on the host",
                "stop and disable it, or take the host out of the inventory",
            )
    for unit in state.foreign_units:
        if unit.rpartition("/")[2].removesuffix(".service") == settings.etcd_service and not _own_definition(
            state, settings.etcd_service
        ):
            raise _Refusal(
                "f",
                f"a service definition that is not ours ({unit})",
                "no other etcd on the host",
                "remove the other etcd's package or service, or set etcd_service to another name",
            )
    if member.host in doubles:
        raise _Refusal(
            "m",
            f"the same data as on {doubles[member.host]}",
            "data of its own",
            "this host is a clone: stop its etcd, move its data folder aside and reinstall the host, or take it out of the inventory",
        )
    if any(sign in state.endpoint.denied for sign in ("permission denied", "user name", "authentication")):
        raise _Refusal(
            "g",
            "etcd's authentication enabled, and no rights for us",
            "the user etcd-steward with the role root",
            "as root of etcd: etcdctl user add etcd-steward --no-password && etcdctl user grant-role etcd-steward root",
        )
    data = state.data
    if data.value == "half":
        raise _Refusal(
            "o",
            f"half a data folder in {settings.etcd_data_dir}: {data.missing} is missing",
            "both halves",
            "mount or bring back what is missing; else replace the member",
        )
    if data.value == "unknown":
        raise _Refusal(
            "o",
            "a data folder that could not be read",
            "one that can",
            "look at the host's disk, then run again",
        )
    if state.processes and data.value == "empty" and not resuming:
        was = (state.record or {}).get("data_dir")
        hint = f"; its record says {was}" if was and was != settings.etcd_data_dir else ""
        raise _Refusal(
            "j",
            f"etcd runs (process {state.processes[0].pid}), but {settings.etcd_data_dir} holds no data{hint}",
            "the running member's data there",
            "set etcd_data_dir back, or mount the disk again; do not restart this member",
        )


def _own_definition(state: HostState, service: str) -> bool:
    definition = state.service.definition
    return definition in state.files and state.files[definition].ours and service in definition


def _double_identities(cluster: Cluster, hosts: Mapping[str, HostState]) -> dict[str, str]:
    carriers: dict[object, list[str]] = {}
    for member in cluster.members:
        identity = hosts[member.host].data.identity
        if identity is not None:
            carriers.setdefault(identity, []).append(member.host)
    return {
        host: ", ".join(other for other in shared if other != host)
        for shared in carriers.values()
        for host in shared
        if len(shared) > 1
    }


def _check_records(
    cluster: Cluster, seen: ClusterState | None, records: Mapping[str, Record]
) -> list[Complaint]:
    ids = {place: record.id for place, record in records.items()}
    if seen is not None:
        ids[f"the running cluster (asked on {seen.source})"] = f"{seen.id:016x}"
    if len(set(ids.values())) <= 1:
        return []
    told = "; ".join(f"{place}: {number}" for place, number in ids.items())
    return [
        Complaint(
            cluster.name,
            f"more than one cluster id ({told})",
            "one",
            "this is the wrong inventory, the wrong controller or a reused host: nothing is done until that is clear",
        ),
    ]


def _with_quorum(
    cluster: Cluster,
    member: Member,
    state: HostState,
    seen: ClusterState,
    records: Mapping[str, Record],
) -> Decision:
    if state.data.identity is None:
        return _empty_beside_quorum(member, state, seen, records)
    identity = state.data.identity
    where = member.settings.etcd_data_dir
    if identity.cluster != seen.id:
        raise _Refusal(
            "n",
            f"data of another cluster in {where} (id {identity.cluster:016x})",
            f"data of cluster {seen.id:016x}, or none",
            "if this data is not needed, move the folder's content aside by hand, then run again",
        )
    listed = next((one for one in seen.members if one.id == identity.member), None)
    if listed is None:
        raise _Refusal(
            "n",
            f"data of a removed member in {where} (id {identity.member:016x})",
            "data of a present member, or none",
            "if this data is not needed, move the folder's content aside by hand, then run again",
        )
    if listed.peer_urls != (member.peer_url,):
        owner = next((one for one in cluster.members if (one.peer_url,) == listed.peer_urls), None)
        if owner is not None:
            raise _Refusal(
                "m",
                f"the data of {owner.name}",
                "data of its own",
                f"this host is a clone of {owner.host}: stop its etcd and reinstall it, or take it out of the inventory",
            )
        raise _Refusal(
            "k",
            f"peer URLs {', '.join(listed.peer_urls)}",
            member.peer_url,
            "set etcd_address back: moving a member to another address is not built yet",
        )
    return Decision(member.host, "g", "converge", "a member with its data")


def _empty_beside_quorum(
    member: Member, state: HostState, seen: ClusterState, records: Mapping[str, Record]
) -> Decision:
    listed = next((one for one in seen.members if one.peer_urls == (member.peer_url,)), None)
    named = next((one for one in seen.members if one.name == member.name), None)
    if listed is not None and listed.name and listed.name != member.name:
        raise _Refusal(
            "i",
            f"the peer URL of {listed.name}",
            f"a peer URL of {member.name}'s own",
            "correct etcd_name or etcd_address",
        )
    if listed is None and named is not None:
        raise _Refusal(
            "k",
            f"the name {member.name}, listed with {', '.join(named.peer_urls)}",
            member.peer_url,
            "correct etcd_name or etcd_address",
        )
    if listed is None:
        raise _Refusal(
            "l",
            "a host that is not yet a member",
            "a member",
            "take it out of the inventory: growing a running cluster is not built yet",
        )
    if _never_started(listed) and any(record.open for record in records.values()):
        return Decision(
            member.host, "b", "bootstrap", "the bootstrap was interrupted before this member started"
        )
    if _never_started(listed) or listed.learner:
        raise _Refusal(
            "h",
            "a listed member that never started",
            "a member with data",
            "finishing a failed join is not built yet",
        )
    raise _Refusal(
        "i",
        f"no data in {member.settings.etcd_data_dir}, though the cluster knows this member ({listed.id:016x})",
        "its data",
        "mount its disk; if the disk is lost, the member has to be replaced. It is never started empty",
    )


def _never_started(listed: ListedMember) -> bool:
    return not listed.client_urls


def _strangers(cluster: Cluster, seen: ClusterState) -> list[str]:
    known = {member.peer_url for member in cluster.members}
    return [
        f"member {one.name or 'unstarted'} ({one.id:016x}, {', '.join(one.peer_urls)}) is in the cluster, but not in the inventory"
        for one in seen.members
        if not known.intersection(one.peer_urls)
    ]


def _without_quorum(member: Member, state: HostState) -> Decision:
    if state.data.identity is None:
        return Decision(member.host, "a", "wait", "no data")
    return Decision(member.host, "c", "start", f"data of cluster {state.data.identity.cluster:016x}")


def _form(
    cluster: Cluster,
    hosts: Mapping[str, HostState],
    records: Mapping[str, Record],
    decisions: Mapping[str, Decision],
    forget: str | None,
) -> Plan:
    with_data = [host for host, decision in decisions.items() if decision.action == "start"]
    unknown = [host for host in decisions if not hosts[host].reached]
    needed = quorum(len(cluster.members))
    ids = {identity.cluster for host in with_data if (identity := hosts[host].data.identity)}
    record = next(iter(records.values()), None)
    if record is not None and record.open:
        return _resume(cluster, hosts, record, unknown)
    if with_data and (
        len(ids) > 1 or (record is not None and {f"{number:016x}" for number in ids} != {record.id})
    ):
        told = "; ".join(f"{host}: {hosts[host].data.identity.cluster:016x}" for host in with_data)  # type: ignore[union-attr]
        wanted = f"data of cluster {record.id}" if record else "data of one cluster"
        return _refuse(
            cluster.name,
            decisions,
            "p",
            f"data of other clusters ({told})",
            wanted,
            "find out where it comes from; nothing is done until then",
        )
    if len(with_data) >= needed:
        return Plan(
            decisions,
            notes=(
                f"no quorum answers; {len(with_data)} of {len(cluster.members)} hosts have data, all are started",
            ),
        )
    lacking = ", ".join(unknown)
    if with_data and unknown:
        return _refuse(
            lacking,
            decisions,
            "d",
            f"no answer, while only {len(with_data)} of {len(cluster.members)} hosts have data",
            f"data on {needed}",
            "bring these hosts back first",
        )
    if with_data:
        return _refuse(
            cluster.name,
            decisions,
            "e",
            f"data on {', '.join(with_data)} only, and empty folders elsewhere",
            f"data on {needed} hosts",
            f"mount the missing disks; if they are lost, restore from a snapshot, or from the survivor {with_data[0]}",
        )
    if unknown:
        return _refuse(
            lacking,
            decisions,
            "d",
            "no answer",
            "an answer, as an unknown host is never taken for an empty one",
            "bring these hosts back first",
        )
    evidence = _evidence(cluster, hosts, records, forget)
    if evidence:
        return Plan(
            {host: Decision(host, "f", "refuse", "evidence of a cluster") for host in decisions},
            tuple(evidence),
        )
    return Plan(
        {host: Decision(host, "a", "bootstrap", "no cluster, no data, no trace of one") for host in decisions}
    )


def _resume(cluster: Cluster, hosts: Mapping[str, HostState], record: Record, unknown: list[str]) -> Plan:
    complaints = []
    decisions = {}
    for member in cluster.members:
        identity = hosts[member.host].data.identity
        wanted = record.members.get(member.name)
        if wanted is None or {one.name for one in cluster.members} != set(record.members):
            complaints.append(
                Complaint(
                    member.host,
                    f"members {', '.join(record.members)} in the interrupted bootstrap",
                    "the inventory's members",
                    f"run with the inventory of then, or forget it with --data etcd_forget_cluster={record.id}",
                ),
            )
        elif identity is not None and f"{identity.member:016x}" != wanted:
            complaints.append(
                Complaint(
                    member.host,
                    f"data of member {identity.member:016x}",
                    f"none, or that of {wanted}",
                    "move it aside by hand",
                ),
            )
        decisions[member.host] = Decision(member.host, "b", "bootstrap", "the bootstrap was interrupted")
    complaints += [
        Complaint(
            host, "no answer", "an answer, to finish the interrupted bootstrap", "bring this host back first"
        )
        for host in unknown
    ]
    return Plan(decisions, tuple(complaints))


def _evidence(
    cluster: Cluster,
    hosts: Mapping[str, HostState],
    records: Mapping[str, Record],
    forget: str | None,
) -> list[Complaint]:
    complaints = []
    for place, record in records.items():
        told = f"a record of cluster {record.id}, but no data anywhere"
        was = (hosts[place].record or {}).get("data_dir") if place in hosts else None
        here = cluster.member(place).settings.etcd_data_dir if place in hosts else None
        if was and was != here:
            told = f"a record of cluster {record.id} with its data in {was}, but none in {here}"
        complaints.append(
            Complaint(
                place,
                told,
                "its data (is a mount missing, or a path changed?)",
                f"mount the disks or set the path back; else restore a snapshot; "
                f"to make a new, empty cluster: --data etcd_forget_cluster={record.id}",
            ),
        )
    if forget is None:
        complaints += [
            Complaint(
                host,
                "a configuration of a cluster that had formed, but no data",
                "its data (is a mount missing?)",
                "mount the disk; else restore a snapshot, or move the configuration file aside",
            )
            for host, state in hosts.items()
            if state.formed and host not in records
        ]
    return complaints


def _refuse(
    host: str, decisions: Mapping[str, Decision], row: str, found: str, wanted: str, what_next: str
) -> Plan:
    refused = {name: Decision(name, row, "refuse", found) for name in decisions}
    return Plan(refused, (Complaint(host, found, wanted, what_next),))

"""Rows a to f of the table: no quorum answers, so a cluster is made, started, or left alone."""

from __future__ import annotations

from collections.abc import Mapping

from etcd_steward.decisions import Decision, Plan, Refusal, clone_of, quorum
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState
from etcd_steward.record import Record, still_open
from etcd_steward.refused import BRING_BACK
from etcd_steward.topology import Cluster, Member, listed_urls, member_id

__all__ = ["form", "without_quorum"]


def without_quorum(
    cluster: Cluster, member: Member, state: HostState, records: Mapping[str, Record]
) -> Decision:
    """Say what one reached host has, while no quorum answers; `form` decides over all of them.

    Args:
        cluster: the cluster as the settings describe it.
        member: the host's member.
        state: what the probe told.
        records: our records by where they lie.

    Returns:
        `start` where it has data, `wait` where it has none.

    Raises:
        Refusal: its data is another member's.
    """
    if state.data.identity is None:
        return Decision(member.host, "a", "wait", "no data")
    number = f"{state.data.identity.member:016x}"
    owners = {name for record in records.values() for name, its in record.members.items() if its == number}
    for other in cluster.members:
        if other.name in owners - {member.name}:
            raise Refusal("m", *clone_of(other))
    return Decision(member.host, "c", "start", f"data of cluster {state.data.identity.cluster:016x}")


def form(  # noqa: PLR0911 - one return for each row of the table
    cluster: Cluster,
    hosts: Mapping[str, HostState],
    records: Mapping[str, Record],
    decisions: Mapping[str, Decision],
    forget: str | None,
) -> Plan:
    """Decide over all hosts together, while no quorum answers.

    Args:
        cluster: the cluster as the settings describe it.
        hosts: what the probes told.
        records: our records by where they lie.
        decisions: what each host has.
        forget: the id of a lost cluster whose traces no longer count.

    Returns:
        The plan; a cluster is only made where every host answered, none has data, and nothing tells of an earlier one.
    """
    with_data = [host for host, decision in decisions.items() if decision.action == "start"]
    unknown = [host for host in decisions if not hosts[host].reached]
    needed = quorum(len(cluster.members))
    ids = {identity.cluster for host in with_data if (identity := hosts[host].data.identity)}
    record = next(iter(records.values()), None)
    if record is not None and still_open(records):
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
    moved = _moved(cluster, hosts, with_data)
    if len(with_data) >= needed and len(cluster.members) > 1 and set(moved) == set(with_data):
        told = ", ".join(f"{host}: {was}" for host, was in moved.items())
        return _refuse(
            cluster.name,
            decisions,
            "k",
            f"other addresses of all members than they ran with last ({told}), by which they look for each other",
            "addresses that some of them had",
            "set etcd_address back; or, where the old addresses are gone, make the cluster anew out of its own data: "
            f"run deploys/restore.py --data etcd_snapshot=from:{with_data[0]}",
        )
    if len(with_data) >= needed:
        return Plan(
            decisions,
            notes=(f"no quorum answers; {len(with_data)} of {len(cluster.members)} hosts have data",),
        )
    lacking = ", ".join(unknown)
    if with_data and unknown:
        return _refuse(
            lacking,
            decisions,
            "d",
            f"no answer ({_why(hosts, unknown)}), while only {len(with_data)} of {len(cluster.members)} hosts have data",
            f"data on {needed}",
            _mend(hosts, unknown, "bring these hosts back first"),
        )
    if with_data:
        return _refuse(
            cluster.name,
            decisions,
            "e",
            f"data on {', '.join(with_data)} only, and empty folders elsewhere",
            f"data on {needed} hosts",
            f"mount the missing disks; if they are lost, run deploys/restore.py, with a snapshot, or with --data etcd_snapshot=from:{with_data[0]}",
        )
    if unknown:
        return _refuse(
            lacking,
            decisions,
            "d",
            f"no answer ({_why(hosts, unknown)})",
            "an answer, as an unknown host is never taken for an empty one",
            _mend(hosts, unknown, "bring these hosts back first"),
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


def _why(hosts: Mapping[str, HostState], unknown: list[str]) -> str:
    """Say why hosts gave no answer; where all say the same, once."""
    told = {host: hosts[host].problem for host in unknown}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{host}: {problem}" for host, problem in told.items())


def _mend(hosts: Mapping[str, HostState], unknown: list[str], usual: str) -> str:
    """Say what helps; one that is up and refuses us is not to be brought back."""
    cures = list(dict.fromkeys(hosts[host].mend for host in unknown))
    return usual if cures == [BRING_BACK] else f"{'; '.join(cures)}; then run again"


def _moved(cluster: Cluster, hosts: Mapping[str, HostState], with_data: list[str]) -> dict[str, str]:
    """Name the hosts whose members ran last with another peer URL than they are to have, and that URL."""
    last = {host: listed_urls([hosts[host].listed]) for host in with_data}
    return {
        host: last[host][member.name]
        for host in with_data
        for member in [cluster.member(host)]
        if last[host].get(member.name, member.peer_url) != member.peer_url
    }


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
        elif f"{member_id([member.peer_url], record.token):016x}" != wanted:
            complaints.append(
                Complaint(
                    member.host,
                    f"the peer URL {member.peer_url}, another than in the interrupted bootstrap",
                    "the same, as the members' ids are made of it",
                    f"set etcd_address back; or move aside what that attempt left in the data folders of all hosts, "
                    f"and forget it with --data etcd_forget_cluster={record.id}",
                ),
            )
        elif identity is not None and (f"{identity.member:016x}", f"{identity.cluster:016x}") != (
            wanted,
            record.id,
        ):
            complaints.append(
                Complaint(
                    member.host,
                    f"data of member {identity.member:016x} of cluster {identity.cluster:016x}",
                    f"none, or that of {wanted} of {record.id}",
                    "move it aside by hand",
                ),
            )
        decisions[member.host] = Decision(member.host, "b", "bootstrap", "the bootstrap was interrupted")
    complaints += [
        Complaint(
            host,
            f"no answer ({hosts[host].problem})",
            "an answer, to finish the interrupted bootstrap",
            _mend(hosts, [host], "bring this host back first"),
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
                f"mount the disks or set the path back; else run deploys/restore.py; "
                f"to make a new, empty cluster: --data etcd_forget_cluster={record.id}",
            ),
        )
    complaints += [
        Complaint(
            host,
            "a configuration of a cluster that had formed, but no data",
            "its data (is a mount missing?)",
            "mount the disk; else run deploys/restore.py, or move the configuration file aside",
        )
        for host, state in hosts.items()
        if state.formed and host not in records and (state.record or {}).get("id", "") != forget
    ]
    complaints += [
        Complaint(
            host,
            "a record of a cluster that cannot be read, and no data",
            "its data and its record",
            "look at the host's disk; else run deploys/restore.py, or move the record aside",
        )
        for host, state in hosts.items()
        if state.record is not None and Record.read(state.record) is None
    ]
    return complaints


def _refuse(
    host: str, decisions: Mapping[str, Decision], row: str, found: str, wanted: str, what_next: str
) -> Plan:
    refused = {name: Decision(name, row, "refuse", found) for name in decisions}
    return Plan(refused, (Complaint(host, found, wanted, what_next),))

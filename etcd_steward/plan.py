"""What is to be done, decided from what was seen: the table of docs/architecture.md, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from etcd_steward.beside_quorum import never_started, with_quorum
from etcd_steward.decisions import NO_ROOT, Action, Decision, Plan, Refusal, disputed_list, quorum
from etcd_steward.errors import Complaint
from etcd_steward.forming import form, without_quorum
from etcd_steward.observed import NO_LOG, ClusterState, Data, HostState, disputed
from etcd_steward.record import Record, still_open
from etcd_steward.rights import lacking
from etcd_steward.snapshots import Manifest
from etcd_steward.topology import Cluster, Member

__all__ = ["Action", "Decision", "Plan", "decide", "foreign_etcds", "quorum", "unreadable"]
# A database that holds nothing yet: a few pages, of at most 16 KiB each.
JUST_MADE = 128 * 1024


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
    # What is told does not depend on who answered first.
    hosts = {member.host: _as_begun(member, hosts[member.host], seen, records) for member in cluster.members}
    decisions: dict[str, Decision] = {}
    refusals: list[Complaint] = []
    doubles = _double_identities(cluster, hosts)
    for member in cluster.members:
        state = hosts[member.host]
        try:
            if not state.reached:
                decision = Decision(member.host, "d", "wait", state.problem)
            else:
                _check_host(member, state, doubles, resuming=_may_be_empty(member, seen, records))
                decision = (
                    with_quorum(cluster, member, state, seen, records)
                    if seen
                    else without_quorum(cluster, member, state, records)
                )
        except Refusal as refusal:
            decision = Decision(member.host, refusal.row, "refuse", refusal.found)
            refusals.append(Complaint(member.host, refusal.found, refusal.wanted, refusal.next))
        decisions[member.host] = decision
    unfinished = _unfinished(cluster, seen, records)
    if unfinished:
        return Plan(
            {host: Decision(host, "r", "refuse", "a restore") for host in decisions}, tuple(unfinished)
        )
    refusals += _check_records(cluster, seen, records)
    told = disputed(hosts) if seen else ""
    refusals += [disputed_list(cluster.name, told)] if told else []
    notes = _strangers(cluster, seen) if seen else []
    if seen is None and not refusals:
        return form(cluster, hosts, records, decisions, forget)
    return Plan(decisions, tuple(refusals), tuple(notes))


def _may_be_empty(member: Member, seen: ClusterState | None, records: Mapping[str, Record]) -> bool:
    """Tell whether a process without data is the sign of an interrupted start, and not of a lost disk."""
    return still_open(records) or _awaited(member, seen)


def _awaited(member: Member, seen: ClusterState | None) -> bool:
    listed = seen.members if seen else ()
    return any(never_started(one) and member.peer_url in one.peer_urls for one in listed)


def _as_begun(
    member: Member, state: HostState, seen: ClusterState | None, records: Mapping[str, Record]
) -> HostState:
    """See a first start that was looked at, or cut, before the log was written, as what it is: no data yet.

    etcd makes the database before its log, which appears by a rename (killed in between, 3.4.23, 3.5.16 and 3.5.30
    leave a database of 16 KiB). A log on a disk of its own may only be not mounted, so there a process must hold it.
    """
    if not (_awaited(member, seen) if seen else still_open(records)):
        return state
    data, apart = state.data, member.settings.etcd_wal_dir
    begun = data.missing == NO_LOG and data.size <= JUST_MADE and (not apart or state.processes)
    return replace(state, data=Data("empty")) if begun else state


def _check_host(member: Member, state: HostState, doubles: Mapping[str, str], *, resuming: bool) -> None:
    settings = member.settings
    for found in foreign_etcds(member, state):
        raise Refusal("f", *found)
    for unit in state.foreign_units:
        if PurePosixPath(unit).stem == settings.etcd_service and not _own_definition(
            state, settings.etcd_service
        ):
            raise Refusal(
                "f",
                f"a service definition that is not ours ({unit})",
                "no other etcd on the host",
                "remove the other etcd's package or service, or set etcd_service to another name",
            )
    if member.host in doubles:
        raise Refusal(
            "m",
            f"the same data as on {doubles[member.host]}",
            "data of its own",
            "this host is a clone: stop its etcd, move its data folder aside and reinstall the host, or take it out of the inventory",
        )
    refused = lacking(member, state)
    if refused is not None:
        raise Refusal("g", refused.found, refused.wanted, refused.next)
    _check_data(member, state)
    if state.blind and not state.endpoint.healthy and state.data.value == "empty":
        raise Refusal(
            "f",
            f"no way to see its {', '.join(state.blind)}",
            "a proof that no etcd runs on the host, before one begins there without data",
            "mount /proc there, or install ps, then run again",
        )
    if state.processes and state.data.value == "empty" and not resuming:
        was = (state.record or {}).get("data_dir")
        hint = f"; its record says {was}" if was and was != settings.etcd_data_dir else ""
        raise Refusal(
            "j",
            f"etcd runs (process {state.processes[0].pid}), but {settings.etcd_data_dir} holds no data{hint}",
            "the running member's data there",
            "set etcd_data_dir back, or mount the disk again; do not restart this member",
        )


def _check_data(member: Member, state: HostState) -> None:
    data, folder = state.data, member.settings.etcd_data_dir
    if data.value == "half":
        raise Refusal(
            "o",
            f"half a data folder in {folder}: {data.missing} is missing",
            "both halves",
            "mount or bring back what is missing; else replace the member",
        )
    if data.value == "unknown":
        raise Refusal("o", *unreadable(member, state))


def foreign_etcds(member: Member, state: HostState) -> list[tuple[str, str, str]]:
    """Find every running etcd that is not the member's.

    Args:
        member: the member of the host.
        state: what the probe told.

    Returns:
        For each what was found, what was wanted, and what to do next.
    """
    return [
        (
            f"a member of another cluster of etcd-steward (process {one.pid}, {one.config})",
            "one cluster on a host",
            "leave that one as it is, and take this host out of one of the two groups",
        )
        if one.ours
        else (
            f"an etcd that is not ours (process {one.pid}, {' '.join(filter(None, (one.command, one.config)))})",
            "no other etcd on the host",
            "stop and disable it, or take the host out of the inventory",
        )
        for one in state.processes
        if one.config != member.settings.process_mark
    ]


def unreadable(member: Member, state: HostState) -> tuple[str, str, str]:
    """Say why a data folder whose state is unknown could not be read.

    Args:
        member: the member of the host.
        state: what the probe told.

    Returns:
        What was found, what was wanted, and what to do next.
    """
    if state.uid != 0:
        return NO_ROOT
    folder = state.data.missing or member.settings.etcd_data_dir
    return (
        f"a data folder that could not be read ({folder})",
        "one that can",
        "look at the host's disk, then run again",
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
        host: others
        for shared in carriers.values()
        for host in shared
        # Two names of one machine are no clones of each other, see `machines`.
        if (
            others := ", ".join(
                other
                for other in shared
                if other != host and not (hosts[host].mark and hosts[host].mark == hosts[other].mark)
            )
        )
    }


def _unfinished(
    cluster: Cluster, seen: ClusterState | None, records: Mapping[str, Record]
) -> list[Complaint]:
    """Refuse everything but the restore itself while one has begun to change data and has not brought a quorum back."""
    begun = next((record for record in records.values() if record.open and record.snapshot), None)
    if begun is None or (
        seen is not None and {record.id for record in records.values()} == {f"{seen.id:016x}"}
    ):
        return []
    manifest = Manifest.read(begun.snapshot)
    name = manifest.file if manifest else "a snapshot"
    found = f"a restore of {name} that was begun and not finished"
    return [
        Complaint(cluster.name, found, "it finished", f"run deploys/restore.py --data etcd_snapshot={name}")
    ]


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


def _strangers(cluster: Cluster, seen: ClusterState) -> list[str]:
    known = {member.peer_url for member in cluster.members}
    return [
        f"member {one.name or 'unstarted'} ({one.id:016x}, {', '.join(one.peer_urls)}) is in the cluster, but not in the inventory"
        for one in seen.members
        if not known.intersection(one.peer_urls)
    ]

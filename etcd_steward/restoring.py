"""A restore before it begins: from what, onto which hosts, and what forbids it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etcd_steward.cli_mode import apart
from etcd_steward.consents import unforgotten
from etcd_steward.decisions import NO_ROOT, quorum
from etcd_steward.drilling import choose_trial, known_id
from etcd_steward.elsewhere import elsewhere
from etcd_steward.errors import Complaint
from etcd_steward.plan import foreign_etcds, unreadable
from etcd_steward.record import Record
from etcd_steward.restored import SURVIVOR, Restore, named, resume, unfinished
from etcd_steward.standing import stand
from etcd_steward.survivors import logs, reaches
from etcd_steward.topology import Member
from etcd_steward.wal import furthest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from etcd_steward.observed import HostState
    from etcd_steward.run import ClusterRun, Sight

__all__ = ["choose_restore"]


def choose_restore(run: ClusterRun, sight: Sight, record: Record | None = None) -> Restore:
    """Work out a restore.

    Args:
        run: the run.
        sight: what was seen; no quorum is needed.
        record: the record that this run made when it looked for the first time.

    Returns:
        The restore, with everything that forbids it.
    """
    complaints = apart(run, "all members restored together") + [
        one for member in sight.cluster.members for one in _host(sight, member)
    ]
    begun = unfinished(sight)
    if begun is not None:
        restore = resume(sight, begun)
    else:
        restore = _anew(run, sight, record or Record.new(sight.cluster))
    complaints += [*restore.complaints, *unforgotten(sight)]
    if not restore.switched:
        # The old members may have come back since the record was opened.
        complaints += elsewhere(run, sight)
    complaints += _over(sight, restore)
    return replace(restore, complaints=tuple(complaints))


def _host(sight: Sight, member: Member) -> list[Complaint]:
    state, settings = sight.hosts[member.host], member.settings
    if not state.reached:
        hint = f"{state.mend}; or take it out of the inventory, and let it join later with deploys/etcd.py"
        return [
            Complaint(
                member.host, f"no answer ({state.problem})", "every host, as all members are made anew", hint
            )
        ]
    if state.uid != 0:
        return [Complaint(member.host, *NO_ROOT)]
    told = foreign_etcds(member, state)
    if state.data.value == "unknown":
        told.append(unreadable(member, state))
    if state.formed and "folder" not in state.folders:
        told.append(
            (
                f"no folder {settings.etcd_data_dir}, though this member had formed",
                "its disk",
                "mount it; or make the folder, if the disk is new",
            )
        )
    return [Complaint(member.host, *one) for one in told]


def _over(sight: Sight, restore: Restore) -> list[Complaint]:
    """Ask for consent by the cluster's id, unless it is proved that nothing would be lost: see `standing`."""
    settings = sight.cluster.settings
    consented = {settings.etcd_restore_over, restore.record.id}
    if sight.seen is not None:
        if f"{sight.seen.id:016x}" in consented:
            return []
        return [
            Complaint(
                sight.cluster.name,
                "a cluster that answers; what was written after the snapshot would be lost",
                "no quorum, or consent",
                "stop what writes to it, look at its id in deploys/status.py, and add --data etcd_restore_over=ID",
            )
        ]
    # Where the new data lies in its place there is nothing left to lose.
    old = {host: state for host, state in sight.hosts.items() if host not in restore.switched}
    # Hosts that nobody can look at are refused by themselves.
    standing = stand({host: state for host, state in old.items() if state.reached and state.uid == 0}, None)
    told = []
    ids = _ids(sight, old, standing.doubts) if standing.doubts else set()
    suspects = ids - consented
    if standing.value == "unknown" and (suspects or not ids):
        told.append(
            Complaint(
                sight.cluster.name,
                f"no way to tell whether a quorum serves ({standing})",
                "every member stopped, or its own word that it has no leader; or consent",
                f"look at these hosts and run again; or stop etcd there; or, to put the data of "
                f"{_called(suspects)} aside all the same, add --data etcd_restore_over=ID",
            )
        )
    for number, hosts in _on_a_quorum(sight, old).items():
        if number in suspects | consented | {settings.etcd_forget_cluster}:
            continue
        told.append(
            Complaint(
                sight.cluster.name,
                f"data of cluster {number} on {len(hosts)} of {len(sight.hosts)} hosts ({', '.join(hosts)}), "
                "which is a quorum; what was written after the snapshot would be lost",
                "data on fewer hosts, or consent",
                "run deploys/etcd.py, which starts these members; "
                f"or, to put this data aside, add --data etcd_restore_over={number}",
            )
        )
    return told


def _called(ids: set[str]) -> str:
    return f"cluster {' and '.join(sorted(ids))}" if ids else "a cluster whose id nobody knows"


def _ids(sight: Sight, old: Mapping[str, HostState], doubtful: Iterable[str]) -> set[str]:
    """Name the clusters that the members may belong to of which nobody knows whether they serve."""
    states = [old[host] for host in doubtful]
    ids = {f"{state.data.identity.cluster:016x}" for state in states if state.data.identity}
    heard = [
        answer for state in states for answer in (state.endpoint.status, state.endpoint.members) if answer
    ]
    ids |= {f"{int(answer['header']['cluster_id']):016x}" for answer in heard}
    known = known_id(sight)
    return ids or ({known} if known else set())


def _on_a_quorum(sight: Sight, old: Mapping[str, HostState]) -> dict[str, list[str]]:
    """Name the clusters whose data lies on a quorum of hosts, and where; data without an id may be of any of them."""
    lying = {host: state.data for host, state in old.items() if state.data.value in {"complete", "half"}}
    ids = {f"{data.identity.cluster:016x}" for data in lying.values() if data.identity}
    known = known_id(sight)
    if not ids and lying:
        ids = {known or "unknown"}
    found = {}
    for number in sorted(ids):
        hosts = [
            host
            for host, data in lying.items()
            if data.identity is None or f"{data.identity.cluster:016x}" == number
        ]
        # The cluster may have had fewer members than the inventory has by now.
        sizes = {len(one.members) for one in sight.records.values() if one.id == number and one.members}
        if len(hosts) >= quorum(min({len(sight.hosts), *sizes})):
            found[number] = hosts
    return found


def _anew(run: ClusterRun, sight: Sight, record: Record) -> Restore:
    wanted = sight.cluster.settings.etcd_snapshot
    empty = [one.host for one in sight.cluster.members if sight.hosts[one.host].data.value == "empty"]
    notes = [
        (
            "API servers and everything else that writes to this cluster must be stopped until the restore is done, "
            "and started afresh after it: what they remember of later revisions is wrong then"
        )
    ]
    if empty and len(empty) < len(sight.cluster.members):
        notes.append(
            f"no data lies on {', '.join(empty)}; if a disk is only not mounted there, stop now and mount it"
        )
    if not wanted.startswith(SURVIVOR):
        trial, complaints = choose_trial(run, sight, set(run.hosts), bare=True)
        return Restore(record, trial, complaints=tuple(complaints), notes=tuple(notes))
    name = wanted.removeprefix(SURVIVOR)
    survivor = named(sight, name)
    hint = f"name one with --data etcd_snapshot={SURVIVOR}HOST"
    if survivor is None:
        known = ", ".join(one.host for one in sight.cluster.members)
        complaint = Complaint(sight.cluster.name, f"no host {name}", f"one of {known}", hint)
        return Restore(record, complaints=(complaint,))
    state = sight.hosts[survivor.host]
    if sight.seen is not None:
        complaint = Complaint(
            survivor.host,
            "a cluster with a quorum",
            "a survivor without one",
            "run deploys/backup.py, and restore what it takes, if that is what you want",
        )
        return Restore(record, complaints=(complaint,))
    if state.data.value != "complete":
        complaint = Complaint(
            survivor.host,
            f"no whole data ({state.data.value}{f': {state.data.missing}' if state.data.missing else ''})",
            "a host with a member's data, whether its etcd runs or not",
            hint,
        )
        return Restore(record, complaints=(complaint,))
    told, complaints = _behind(run, sight, survivor)
    return Restore(record, survivor=survivor, complaints=tuple(complaints), notes=(*notes, *told))


def _behind(run: ClusterRun, sight: Sight, survivor: Member) -> tuple[list[str], list[Complaint]]:
    """Compare the logs of all hosts that hold data: what a client was told of may only lie on the one that is furthest."""
    identity = sight.hosts[survivor.host].data.identity
    same = {
        host
        for host, state in sight.hosts.items()
        if identity is not None
        and state.data.identity is not None
        and state.data.identity.cluster == identity.cluster
    }
    if len(same) < 2:  # noqa: PLR2004 - nobody to compare with
        return [], []
    known, unread = logs(run, sight)
    ends = {host: log.end for host, log in known.items() if host in same}
    notes = [f"{host}: its log cannot be compared ({why})" for host, why in unread.items() if host in same]
    best = furthest(ends)
    notes += [reaches(ends)] if ends else []
    if survivor.host in best or not best:
        return notes, []
    # Consent to a restore is asked for by other doubts too, so it says nothing about this one.
    hint = (
        f"run with --data etcd_snapshot={SURVIVOR}{best[0].rpartition('/')[2]}; or, where its data cannot be used, "
        "move it aside there by hand, so that nobody counts on it"
    )
    found = f"a log that others go beyond ({reaches(ends)})"
    return notes, [Complaint(survivor.host, found, "the one that goes furthest", hint)]

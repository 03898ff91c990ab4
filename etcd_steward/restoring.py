"""A restore before it begins: from what, onto which hosts, and what forbids it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etcd_steward.cli_mode import apart
from etcd_steward.decisions import NO_ROOT
from etcd_steward.drilling import choose_trial
from etcd_steward.elsewhere import elsewhere
from etcd_steward.errors import Complaint
from etcd_steward.plan import foreign_etcds, unreadable
from etcd_steward.record import Record
from etcd_steward.restored import SURVIVOR, Restore, named, resume, unfinished
from etcd_steward.topology import Member

if TYPE_CHECKING:
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
    complaints += restore.complaints
    if not restore.switched:
        # The old members may have come back since the record was opened.
        complaints += elsewhere(run, sight)
    complaints += _over(sight, restore.record)
    return replace(restore, complaints=tuple(complaints))


def _host(sight: Sight, member: Member) -> list[Complaint]:
    state, settings = sight.hosts[member.host], member.settings
    if not state.reached:
        hint = "bring it back; or take it out of the inventory, and let it join later with deploys/etcd.py"
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


def _over(sight: Sight, record: Record) -> list[Complaint]:
    consented = {sight.cluster.settings.etcd_restore_over, record.id}
    if sight.seen is None or f"{sight.seen.id:016x}" in consented:
        return []
    return [
        Complaint(
            sight.cluster.name,
            "a cluster that answers; what was written after the snapshot would be lost",
            "no quorum, or consent",
            "stop what writes to it, look at its id in deploys/status.py, and add --data etcd_restore_over=ID",
        )
    ]


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
    if not state.service.running or state.data.value != "complete":
        complaint = Complaint(
            survivor.host,
            f"no running member with data (the service is {state.service.word}, the data {state.data.value})",
            "a survivor that runs",
            f"start its etcd, as it can give its data without a quorum; else {hint}",
        )
        return Restore(record, complaints=(complaint,))
    return Restore(record, survivor=survivor, notes=tuple(notes))

"""A restore before it begins: from what, onto which hosts, how far an earlier try came, and what forbids it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import gevent

from etcd_steward.backups import backup_folder, digest
from etcd_steward.cli_mode import one_by_one
from etcd_steward.decisions import NO_ROOT
from etcd_steward.drilling import Trial, choose_trial
from etcd_steward.errors import Complaint
from etcd_steward.record import Record
from etcd_steward.shell import Script
from etcd_steward.snapshots import Manifest
from etcd_steward.talk import ask
from etcd_steward.topology import Member, member_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_steward.observed import HostState
    from etcd_steward.run import ClusterRun, Sight

__all__ = ["Restore", "choose_restore", "incoming", "known_elsewhere", "restored_already", "unfinished"]

_SURVIVOR = "from:"


@dataclass(frozen=True)
class Restore:
    """What a restore will do.

    Args:
        record: the record of the cluster that it makes; with the snapshot's manifest once that is known.
        trial: the snapshot; None where a survivor gives it, or where every host has its data already.
        survivor: the member that gives it without a quorum.
        resumed: an earlier run had begun to change data, so this one finishes it.
        staged: hosts where the data lies beside the old one.
        switched: hosts where it has taken its place.
        complaints: what forbids it.
        notes: what the operator should know.
    """

    record: Record
    trial: Trial | None = None
    survivor: Member | None = None
    resumed: bool = False
    staged: frozenset[str] = frozenset()
    switched: frozenset[str] = frozenset()
    complaints: tuple[Complaint, ...] = ()
    notes: tuple[str, ...] = field(default=())


def incoming(record: Record) -> str:
    """Name the ending of restored data that waits beside the old: it tells which restore it belongs to."""
    return f"new-{record.token.rpartition('-')[2]}"


def unfinished(sight: Sight) -> Record | None:
    """Find the record of a restore that had begun to change data.

    Args:
        sight: what was seen.

    Returns:
        The record, or None; one that the operator wants forgotten does not count.
    """
    forget = sight.cluster.settings.etcd_forget_cluster
    return next(
        (one for one in sight.records.values() if one.open and one.snapshot and one.id != forget), None
    )


def restored_already(sight: Sight) -> Manifest | None:
    """Tell whether the wanted restore is done: the cluster answers, and began with that snapshot.

    Args:
        sight: what was seen.

    Returns:
        The snapshot's manifest, or None.
    """
    settings = sight.cluster.settings
    if sight.seen is None or settings.etcd_restore_over is not None:
        return None
    for record in sight.records.values():
        manifest = Manifest.read(record.snapshot)
        if (
            not record.open
            and manifest is not None
            and record.id == f"{sight.seen.id:016x}"
            and _is_meant(sight, manifest)
        ):
            return manifest
    return None


def _is_meant(sight: Sight, manifest: Manifest) -> bool:
    wanted = sight.cluster.settings.etcd_snapshot
    if wanted.startswith(_SURVIVOR):
        giver = _named(sight, wanted.removeprefix(_SURVIVOR))
        return giver is not None and (manifest.origin, manifest.member) == ("restore", giver.name)
    return wanted == "newest" or PurePosixPath(wanted).name == manifest.file


def _named(sight: Sight, name: str) -> Member | None:
    members = sight.cluster.members
    return next((one for one in members if name in {one.host, one.host.rpartition("/")[2], one.name}), None)


def choose_restore(run: ClusterRun, sight: Sight, record: Record | None = None) -> Restore:
    """Work out a restore.

    Args:
        run: the run.
        sight: what was seen; no quorum is needed.
        record: the record that this run made when it looked for the first time.

    Returns:
        The restore, with everything that forbids it.
    """
    complaints = _mode(run) + [one for member in sight.cluster.members for one in _host(sight, member)]
    begun = unfinished(sight)
    if begun is not None:
        restore = _resume(sight, begun)
    else:
        restore = _anew(run, sight, record or Record.new(sight.cluster))
        complaints += _elsewhere(run, sight) + _over(sight)
    complaints += restore.complaints
    return Restore(
        record=restore.record,
        trial=restore.trial,
        survivor=restore.survivor,
        resumed=restore.resumed,
        staged=restore.staged,
        switched=restore.switched,
        complaints=tuple(complaints),
        notes=restore.notes,
    )


def _mode(run: ClusterRun) -> list[Complaint]:
    mode = one_by_one()
    if run.limited() != set(run.hosts):
        mode = "--limit or --exclude"
    if not mode:
        return []
    return [Complaint(run.name, mode, "all members restored together", "run without it")]


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
    complaints = [
        Complaint(
            member.host,
            f"an etcd that is not ours (process {one.pid}, {one.command} {one.config})",
            "no other etcd on the host",
            "stop and disable it, or take the host out of the inventory",
        )
        for one in state.processes
        if one.config != settings.config_path
    ]
    if state.data.value == "unknown":
        found = f"a data folder that could not be read ({state.data.missing or settings.etcd_data_dir})"
        complaints.append(
            Complaint(member.host, found, "one that can", "look at the host's disk, then run again")
        )
    if state.formed and "folder" not in state.folders:
        found = f"no folder {settings.etcd_data_dir}, though this member had formed"
        complaints.append(
            Complaint(member.host, found, "its disk", "mount it; or make the folder, if the disk is new")
        )
    return complaints


def _over(sight: Sight) -> list[Complaint]:
    if sight.seen is None or sight.cluster.settings.etcd_restore_over == f"{sight.seen.id:016x}":
        return []
    return [
        Complaint(
            sight.cluster.name,
            "a cluster that answers; what was written after the snapshot would be lost",
            "no quorum, or consent",
            "stop what writes to it, look at its id in deploys/status.py, and add --data etcd_restore_over=ID",
        )
    ]


def _elsewhere(run: ClusterRun, sight: Sight) -> list[Complaint]:
    known = known_elsewhere(sight, _last_lists(run, sight))
    missing = [name for name in known if name not in sight.cluster.settings.etcd_restore_without]
    return [
        Complaint(
            sight.cluster.name,
            f"the known member {name} ({known[name]}), of which nobody can say that it is stopped",
            "every known member among the hosts that answer",
            f"stop its etcd for good, then run with --data etcd_restore_without={','.join(missing)}",
        )
        for name in missing
    ]


def known_elsewhere(sight: Sight, lists: Sequence[str]) -> dict[str, str]:
    """Name the members of the last known list that are on none of the inventory's hosts.

    Args:
        sight: what was seen.
        lists: `initial-cluster` of the configurations on the hosts, as they were when the cluster last converged.

    Returns:
        For each member's name where it was known to be: its peer URL, or its id.
    """
    here = {member.peer_url for member in sight.cluster.members}
    ids = {f"{state.data.identity.member:016x}" for state in sight.hosts.values() if state.data.identity}
    if sight.seen is not None:
        return {
            one.name or ",".join(one.peer_urls): ",".join(one.peer_urls)
            for one in sight.seen.members
            if not here & set(one.peer_urls) and f"{one.id:016x}" not in ids
        }
    listed = {
        name: url
        for text in lists
        for part in text.split(",")
        for name, _, url in [part.strip().partition("=")]
        if url
    }
    if listed:
        return {name: url for name, url in listed.items() if url not in here}
    return {
        name: f"id {number}"
        for record in sight.records.values()
        for name, number in record.members.items()
        if number not in ids and number not in {f"{member_id([url], record.token):016x}" for url in here}
    }


def _last_lists(run: ClusterRun, sight: Sight) -> list[str]:
    formed = [member for member in sight.cluster.members if sight.hosts[member.host].formed]
    jobs = [
        gevent.spawn(
            ask,
            run,
            member.host,
            Script("members", f"sed -n 's/^initial-cluster: *//p' {member.settings.config_path}"),
        )
        for member in formed
    ]
    gevent.joinall(jobs)
    return [line.strip("'\"") for job in jobs for line in job.get()]


def _resume(sight: Sight, begun: Record) -> Restore:
    manifest = Manifest.read(begun.snapshot)
    ids = {one.name: f"{member_id([one.peer_url], begun.token):016x}" for one in sight.cluster.members}
    again = f"or, to restore another one instead, add --data etcd_forget_cluster={begun.id}"
    complaints = []
    if manifest is None or not _is_meant(sight, manifest):
        name = manifest.file if manifest else "an unknown snapshot"
        complaints.append(
            Complaint(
                sight.cluster.name,
                f"a restore of {name} that was begun and not finished",
                "that one finished first",
                f"run with --data etcd_snapshot={name}; {again}",
            )
        )
    if dict(begun.members) != ids:
        complaints.append(
            Complaint(
                sight.cluster.name,
                f"members {', '.join(begun.members)} in the unfinished restore, or other peer URLs",
                "the inventory's members and their addresses",
                f"run with the inventory of then; {again}",
            )
        )
    staged = {
        one.host
        for one in sight.cluster.members
        if f"{one.settings.etcd_data_dir}/member.{incoming(begun)}" in sight.hosts[one.host].aside
    }
    # The log is switched in before the rest, and carries the ids.
    switched = {
        one.host
        for one in sight.cluster.members
        if one.host not in staged and _has(sight.hosts[one.host], begun, ids[one.name])
    }
    trial = None
    if manifest is not None and not complaints and staged | switched != set(sight.hosts):
        path = _copy(sight, manifest)
        if path is None:
            complaints.append(
                Complaint(
                    sight.cluster.name,
                    f"no copy of {manifest.file} with SHA-256 {manifest.sha256} on the controller",
                    "the snapshot of the unfinished restore",
                    f"put it into {backup_folder(sight.cluster.settings)}; {again}",
                )
            )
        else:
            trial = Trial(manifest, sight.cluster.members[0], str(path), here=True)
    return Restore(
        begun,
        trial,
        resumed=True,
        staged=frozenset(staged),
        switched=frozenset(switched),
        complaints=tuple(complaints),
        notes=(
            f"a restore of {manifest.file if manifest else 'a snapshot'} was interrupted; it is finished",
        ),
    )


def _has(state: HostState, record: Record, number: str) -> bool:
    identity = state.data.identity
    return identity is not None and (f"{identity.member:016x}", f"{identity.cluster:016x}") == (
        number,
        record.id,
    )


def _copy(sight: Sight, manifest: Manifest) -> Path | None:
    settings = sight.cluster.settings
    places = (Path(settings.etcd_snapshot).expanduser(), backup_folder(settings) / manifest.file)
    return next((path for path in places if path.is_file() and digest(path) == manifest.sha256), None)


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
    if not wanted.startswith(_SURVIVOR):
        trial, complaints = choose_trial(run, sight, set(run.hosts), bare=True)
        return Restore(record, trial, complaints=tuple(complaints), notes=tuple(notes))
    name = wanted.removeprefix(_SURVIVOR)
    survivor = _named(sight, name)
    hint = f"name one with --data etcd_snapshot={_SURVIVOR}HOST"
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


def bump_words(bump: int) -> str:
    """Write the options that let revisions jump, so that watchers notice (etcd's recovery guide).

    Args:
        bump: how far; 0 for not at all.
    """
    return f"--bump-revision {bump} --mark-compacted" if bump else ""


_REVISION = re.compile(r'"revision":(\d+)')


def staged_revision(proof: str) -> int | None:
    """Read the revision out of what `etcdutl snapshot status` told of restored data.

    Args:
        proof: its JSON.

    Returns:
        The revision, or None where it told none.
    """
    found = _REVISION.search(proof)
    return int(found.group(1)) if found else None

"""How far a restore came: what it makes, how data that waits is called, and how an interrupted one goes on."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from etcd_steward.backups import backup_folder, digest
from etcd_steward.drilling import Trial
from etcd_steward.errors import Complaint
from etcd_steward.observed import refuses_user
from etcd_steward.record import Record
from etcd_steward.shell import script
from etcd_steward.snapshots import Manifest
from etcd_steward.topology import Member, member_id

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.run import Sight

__all__ = [
    "SURVIVOR",
    "Restore",
    "bump_words",
    "counted_again",
    "incoming",
    "named",
    "restored_already",
    "resume",
    "staged_revision",
    "switch",
    "unfinished",
]

SURVIVOR = "from:"


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
    """Tell whether the wanted restore is done: the cluster answers, began with that snapshot, and no record is left open.

    Args:
        sight: what was seen.

    Returns:
        The snapshot's manifest, or None.
    """
    settings = sight.cluster.settings
    # Consent that names the cluster which was put aside asks for nothing more: the same command may be run again.
    if sight.seen is None or settings.etcd_restore_over == f"{sight.seen.id:016x}":
        return None
    # The controller's record is closed first, and each host's by itself: a run may be cut in between.
    if unfinished(sight) is not None:
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
    if wanted.startswith(SURVIVOR):
        giver = named(sight, wanted.removeprefix(SURVIVOR))
        return giver is not None and (manifest.origin, manifest.member) == ("restore", giver.name)
    return wanted == "newest" or PurePosixPath(wanted).name == manifest.file


def named(sight: Sight, name: str) -> Member | None:
    """Find a member by the inventory's name of its host, with or without connector, or by its own.

    Args:
        sight: what was seen.
        name: what an operator typed.
    """
    members = sight.cluster.members
    return next((one for one in members if name in {one.host, one.host.rpartition("/")[2], one.name}), None)


def resume(sight: Sight, begun: Record) -> Restore:
    """Find out how far an interrupted restore came, host by host.

    Args:
        sight: what was seen.
        begun: its record.

    Returns:
        What is left of it, with what forbids finishing it.
    """
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
    here = sight.records.get("the controller")
    # Its gate was passed then, and clients may use it: what is left is written without a restart.
    passed = here is not None and here.id == begun.id and not here.open
    return Restore(
        begun.closed() if passed else begun,
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


def switch(data_dir: str, wal_dir: str | None, ending: str) -> str:
    """Write what moves the old data aside and the new to its place, and fails unless all of it lies there.

    Args:
        data_dir: etcd's data folder.
        wal_dir: the folder of its log, where that has one of its own.
        ending: how the new data is called that waits.
    """
    aside = script("aside.sh", data_dir=data_dir, wal_dir=wal_dir, incoming=ending)
    # Over the old log the new database would be another life's.
    waiting = [f"{data_dir}/member.{ending}", *([f"{wal_dir}/wal.{ending}"] if wal_dir else [])]
    proof = [f"[ ! -e {shlex.quote(path)} ]" for path in waiting]
    proof.append(f"[ -f {shlex.quote(f'{data_dir}/member/snap/db')} ]")
    return "\n".join(["set -e", aside + "", "sync", *proof])


# A client that compacts already, as etcd's authentication, says nothing of the data.
_UNCOUNTABLE = "compacted"


def counted_again(line: str, wanted: int | None, revision: int) -> tuple[str, str]:
    """Judge what the restored cluster said when its keys were counted.

    Args:
        line: the line of `restored.sh`.
        wanted: the keys that the manifest promises; None where it tells none.
        revision: at which they were counted.

    Returns:
        What is wrong, empty where nothing is; and else what to tell, a note where they could not be counted.
    """
    word, _, rest = line.partition(" ")
    if word == "keys" and wanted is None:
        return "", f"{rest} keys at revision {revision}; the manifest tells no number of them"
    if word == "keys" and rest == str(wanted):
        return "", f"{rest} keys at revision {revision}, as the manifest says"
    if word == "keys":
        return (
            f"found {rest} keys at revision {revision}, wanted {wanted} as the manifest says; "
            "next: do not use this cluster; restore another snapshot"
        ), ""
    # The throw-away etcd was asked before.
    if refuses_user(rest) or _UNCOUNTABLE in rest:
        return "", f"note: keys were not counted again ({rest})"
    return (
        f"found no count of keys at revision {revision} ({rest}), wanted {wanted} as the manifest says; "
        "next: run again; where it stays so, do not use this cluster, and restore another snapshot"
    ), ""

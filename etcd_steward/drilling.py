"""Drills: which snapshot is tried where, and what came of it."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gevent

from etcd_steward import versions
from etcd_steward.answers import decoded
from etcd_steward.backing_up import login_folder, revisions, upload
from etcd_steward.backups import backup_folder, digest, kept, unlike
from etcd_steward.errors import Complaint
from etcd_steward.schedule import job_script
from etcd_steward.sealed import self_proved
from etcd_steward.shell import Script, script
from etcd_steward.snapshots import (
    AHEAD_OF_MEMBERS,
    AHEAD_OF_SNAPSHOTS,
    Manifest,
    Restored,
    beyond,
    choose,
    read_all,
)
from etcd_steward.talk import ask
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member
    from etcd_steward.versions import Version

__all__ = ["Trial", "choose_trial", "known_id", "listing", "try_out"]


@dataclass(frozen=True)
class Trial:
    """A snapshot that is to be tried.

    Args:
        manifest: what it should hold.
        member: on whose host it is tried.
        path: where it lies on that host, or on the controller.
        here: whether it lies on the controller.
    """

    manifest: Manifest
    member: Member
    path: str
    here: bool


def choose_trial(
    run: ClusterRun, sight: Sight, limit: set[str], *, bare: bool = False
) -> tuple[Trial | None, list[Complaint]]:
    """Find the snapshot that `etcd_snapshot` names, on the hosts and on the controller.

    Args:
        run: the run.
        sight: what was seen; no quorum is needed.
        limit: the hosts that may be used.
        bare: whether hosts without etcd will do, as a restore brings it.

    Returns:
        The trial, or None and why there is none.
    """
    settings = sight.cluster.settings
    wanted = settings.etcd_snapshot
    able = [
        one
        for one in sight.cluster.members
        if one.host in limit
        and ("etcd" in sight.hosts[one.host].links or (bare and sight.hosts[one.host].reached))
    ]
    if not able:
        found = "no host within reach that has etcd installed"
        return None, [Complaint(run.name, found, "one", "bring a host back, or widen --limit")]
    leader = sight.seen.leader if sight.seen else 0
    spare = min(able, key=lambda one: _own_id(sight, one) == leader)
    own = None if wanted == "newest" else _own_file(sight, wanted)
    if own is not None:
        return _from_controller(run.name, own, spare)
    jobs = [gevent.spawn(_listed, run, member) for member in able]
    gevent.joinall(jobs)
    places: list[tuple[Manifest, Member | None]] = [(one, None) for one in kept(backup_folder(settings))]
    untold: list[Complaint] = []
    for member, job in zip(able, jobs, strict=True):
        lines = job.get()
        places += [(one, member) for one in read_all(lines)]
        if lines[-1:] != ["end"]:
            untold.append(_untold(member))
    known = _believed(sight, places, wanted)
    manifest = choose(known.values(), wanted, known_id(sight))
    if manifest is not None and wanted == "newest":
        untold += _untrue(sight, known.values(), manifest)
    if untold and (manifest is None or wanted == "newest"):
        return None, untold
    if manifest is None:
        found = f"no snapshot {wanted}" if wanted != "newest" else "no snapshot of this cluster"
        cure = "run deploys/backup.py, or set etcd_snapshot to a file"
        return None, [
            Complaint(run.name, f"{found} on {len(able)} hosts and in {backup_folder(settings)}", "one", cure)
        ]
    own = backup_folder(settings) / manifest.file
    place = next(
        (
            member
            for one, member in places
            if member is not None and (one.file, one.sha256) == (manifest.file, manifest.sha256)
        ),
        None,
    )
    if place is None or ((manifest, None) in places and not unlike(own, manifest)):
        return _from_controller(run.name, own, spare)
    return Trial(manifest, place, f"{place.settings.etcd_snapshot_dir}/{manifest.file}", here=False), []


def _own_file(sight: Sight, wanted: str) -> Path | None:
    """Find the file on the controller that is meant; one in its folder counts here where no manifest names it."""
    own = Path(wanted).expanduser()
    copied = backup_folder(sight.cluster.settings) / own.name
    if own.is_file():
        return own
    return copied if copied.is_file() and not copied.with_suffix(".json").exists() else None


def _believed(
    sight: Sight, places: Sequence[tuple[Manifest, Member | None]], wanted: str
) -> dict[str, Manifest]:
    """Choose whose word counts for each file: what was kept here, then its own member's, and others' only where it is named."""
    names = {member.name for member in sight.cluster.members}

    def own(place: tuple[Manifest, Member | None]) -> bool:
        one, member = place
        if member is None:
            return True
        return not one.misnamed() and (member.name == one.member or one.member not in names)

    known: dict[str, Manifest] = {}
    for place in sorted(places, key=lambda place: (place[1] is not None, not own(place))):
        # The newest is nobody's choice but that of what hosts tell, so each tells of its own alone.
        if wanted != "newest" or own(place):
            known.setdefault(place[0].file, place[0])
    return known


def _untrue(sight: Sight, known: Iterable[Manifest], newest: Manifest) -> list[Complaint]:
    """Refuse a newest snapshot with a revision that is far beyond what all others tell."""
    givers = {member.host: member.name for member in sight.cluster.members}
    now = [number for host, number in revisions(sight).items() if givers[host] != newest.member]
    if sight.seen is None or f"{sight.seen.id:016x}" != newest.cluster_id:
        now = []
    earlier = [
        one.revision for one in known if one.member != newest.member and one.cluster_id == newest.cluster_id
    ]
    told = beyond(newest, now, AHEAD_OF_MEMBERS) or beyond(newest, earlier, AHEAD_OF_SNAPSHOTS)
    if not told:
        return []
    cure = "look at that member, then name the snapshot that you mean with --data etcd_snapshot=FILE"
    return [Complaint.of(sight.cluster.name, ValueError(told.partition("; next: ")[0]), "", cure)]


def known_id(sight: Sight) -> str | None:
    """Say which cluster this is: without a quorum the records know it, and no clock that ran ahead misleads them.

    Args:
        sight: what was seen.

    Returns:
        The id of what answers, else of the controller's closed record, else of the hosts' where they agree; None where
        nobody knows it.
    """
    if sight.seen is not None:
        return f"{sight.seen.id:016x}"
    forget = sight.cluster.settings.etcd_forget_cluster
    closed = {place: one.id for place, one in sight.records.items() if not one.open and one.id != forget}
    if "the controller" in closed:
        return closed["the controller"]
    ids = set(closed.values())
    return ids.pop() if len(ids) == 1 else None


def _own_id(sight: Sight, member: Member) -> int:
    identity = sight.hosts[member.host].data.identity
    return identity.member if identity else 0


def listing(folder: str) -> Script:
    """Ask a host for its manifests; without the line `end`, there may be more than were told.

    Args:
        folder: where its snapshots lie.
    """
    place = shlex.quote(folder)
    look = (
        f"[ ! -e {place} ] || ls {place} >/dev/null || exit 1; "
        f'for one in {place}/*.json; do [ -f "${{one%.json}}.db" ] || continue; head -n 1 "$one" && echo || exit 1; done; echo end'
    )
    return Script("manifests", look)


def _listed(run: ClusterRun, member: Member) -> list[str]:
    return ask(run, member.host, listing(member.settings.etcd_snapshot_dir))


def _untold(member: Member) -> Complaint:
    return Complaint(
        member.host,
        f"no whole list of the snapshots in {member.settings.etcd_snapshot_dir}",
        "it, as the newest may lie there",
        "look at its disk and run again; or name another one with --data etcd_snapshot=FILE",
    )


def _from_controller(cluster: str, path: Path, member: Member) -> tuple[Trial | None, list[Complaint]]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        sealed = self_proved(path, digest(path))
        if sealed is not None:
            return Trial(sealed, member, str(path), here=True), []
        found = f"{path} without a manifest, and without etcd's own hash behind it"
        cure = f"put the manifest that was written with it to {beside}, or choose a file that etcdctl saved"
        return None, [Complaint(cluster, found, "a snapshot that can be proved", cure)]
    manifest = Manifest.read(beside.read_text(errors="replace"))
    if manifest is None:
        found, cure = (
            f"{beside} that is no manifest",
            "bring back the one that was written with it, or move it aside",
        )
        return None, [Complaint(cluster, found, "a snapshot that can be proved", cure)]
    problem = unlike(path, manifest)
    if problem:
        cure = "do not restore it; choose another one"
        return None, [Complaint.of(cluster, ValueError(problem), "what its manifest says", cure)]
    return Trial(manifest, member, str(path), here=True), []


def _likely(trial: Trial) -> Version:
    """Guess which release tries a snapshot: its own, as another minor version could not start it."""
    try:
        return versions.parse(trial.manifest.version)
    except ValueError:
        return versions.parse(trial.member.settings.etcd_version)


def try_out(
    run: ClusterRun, cluster: str, trial: Trial, machine: str, release: Version | None, bin_dir: str = ""
) -> tuple[Restored | None, str]:
    """Restore a snapshot into a throw-away etcd, and ask it what it holds.

    Args:
        run: the run.
        cluster: the cluster's name.
        trial: which snapshot, and where.
        machine: what `uname -m` says there.
        release: which release tries it; None where its links name none of ours.
        bin_dir: where the release lies that tries it, where it is not the linked one.

    Returns:
        What it holds, or None and why it could not be asked.
    """
    host = run.hosts[trial.member.host]
    with ExitStack() as stack:
        path = trial.path
        if trial.here:
            try:
                folder = stack.enter_context(login_folder(run, host))
                path = upload(host, trial.path, folder, trial.manifest.file)
            except OSError as error:
                return None, str(error)
        settings = trial.member.settings
        values = script(
            "drill.sh",
            # The setting may be ahead of it, as it says what the cluster shall run.
            arch=versions.unsupported_arch(release or _likely(trial), versions.release_arch(machine)),
            seconds=settings.etcd_timeout,
            file=path,
            sha256=trial.manifest.sha256,
        )
        job = job_script(cluster, trial.member, bin_dir=bin_dir)
        lines = ask(run, host.name, Script("drill", f"{job + ''}\n{values + ''}\ndrill || :"), COMMAND_S)
    failed = next((line[7:] for line in lines if line.startswith("failed ")), "")
    told = next((line[9:] for line in lines if line.startswith("restored ")), "")
    try:
        value = decoded(told)
        return Restored(
            version=str(value["version"]),
            revision=int(value["revision"]),
            keys=value["keys"],
            hash=value["hash"],
            compact_revision=value["compact_revision"],
        ), ""
    except (ValueError, KeyError, TypeError, ArithmeticError):
        return None, failed or f"found no answer ({' '.join(lines[-2:])}), wanted one; next: run again"

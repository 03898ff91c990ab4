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
from etcd_steward.backing_up import login_folder, upload
from etcd_steward.backups import backup_folder, digest, kept
from etcd_steward.errors import Complaint
from etcd_steward.schedule import job_script
from etcd_steward.shell import Script, script
from etcd_steward.snapshots import Manifest, Restored, choose, read_all
from etcd_steward.talk import ask

if TYPE_CHECKING:
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
    own = Path(wanted).expanduser()
    if wanted != "newest" and own.is_file():
        return _from_controller(run.name, own, spare)
    jobs = [gevent.spawn(_listed, run, member) for member in able]
    gevent.joinall(jobs)
    places: dict[str, tuple[Manifest, Member | None]] = {
        one.file: (one, None) for one in kept(backup_folder(settings))
    }
    untold: list[Complaint] = []
    for member, job in zip(able, jobs, strict=True):
        lines = job.get()
        places |= {one.file: (one, member) for one in read_all(lines)}
        if lines[-1:] != ["end"]:
            untold.append(_untold(member))
    manifest = choose((one for one, _ in places.values()), wanted, known_id(sight))
    if untold and (manifest is None or wanted == "newest"):
        return None, untold
    if manifest is None:
        found = f"no snapshot {wanted}" if wanted != "newest" else "no snapshot of this cluster"
        cure = "run deploys/backup.py, or set etcd_snapshot to a file"
        return None, [
            Complaint(run.name, f"{found} on {len(able)} hosts and in {backup_folder(settings)}", "one", cure)
        ]
    place = places[manifest.file][1]
    if place is None:
        return _from_controller(run.name, backup_folder(settings) / manifest.file, spare)
    return Trial(manifest, place, f"{place.settings.etcd_snapshot_dir}/{manifest.file}", here=False), []


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
    manifest = Manifest.read(beside.read_text()) if beside.is_file() else None
    if manifest is None:
        found, cure = f"{path} without a manifest", f"put the manifest that was written with it to {beside}"
        return None, [Complaint(cluster, found, "a snapshot that can be proved", cure)]
    found_digest = digest(path)
    if found_digest != manifest.sha256:
        found = f"{path} with SHA-256 {found_digest}"
        cure = "do not restore it; choose another one"
        return None, [Complaint(cluster, found, f"{manifest.sha256} as its manifest says", cure)]
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
        lines = ask(run, host.name, Script("drill", f"{job + ''}\n{values + ''}\ndrill || :"))
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

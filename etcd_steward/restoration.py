"""The run of `deploys/restore.py`: the bootstrap's own steps, over data that a snapshot gave."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pyinfra import logger

from etcd_steward import versions
from etcd_steward.backing_up import download, take
from etcd_steward.backups import backup_folder, keep
from etcd_steward.converge import Converge
from etcd_steward.decisions import Decision
from etcd_steward.errors import Complaint
from etcd_steward.identity import Identity
from etcd_steward.job import Job, make_job
from etcd_steward.objections import reasons_against
from etcd_steward.observed import Data, Endpoint, HostState
from etcd_steward.plan import Plan
from etcd_steward.restored import Restore
from etcd_steward.restoring import choose_restore
from etcd_steward.run import ClusterRun, Sight, refuse
from etcd_steward.snapshots import Manifest
from etcd_steward.survivors import give, releases_for

if TYPE_CHECKING:
    from etcd_steward.topology import Member

__all__ = ["Restoration"]


@dataclass
class Restoration(Converge):
    """One restore of one cluster."""

    _restores: list[Restore] = field(default_factory=list)
    _files: list[Path] = field(default_factory=list)

    @staticmethod
    def look_first(cluster_run: ClusterRun) -> Sight:
        """Look at all hosts, once before the plan is made.

        Args:
            cluster_run: the run.
        """
        sight: Sight = cluster_run.once("before the restore", lambda: cluster_run.look(only=True))
        return sight

    def restore(self) -> Restore:
        """Return what this restore does; it is worked out with the job, and anew with it."""
        self.job()
        return self._restores[-1]

    def _make(self) -> Job:
        sight = self.look_first(self.cluster_run)
        restore = choose_restore(self.cluster_run, sight)
        refuse(list(restore.complaints))
        job = self._job_of(sight, restore)
        refuse(reasons_against(job) + _unfit(job, restore.trial.manifest if restore.trial else None))
        for note in restore.notes:
            logger.warning(f"    {self.cluster_run.name}: {note}")
        self._restores.append(restore)
        return job

    def look_again(self) -> str:
        """Probe all hosts again after the prompt.

        Returns:
            What has changed; empty where nothing has.
        """
        before, planned = self.job(), self.restore()
        sight = self.cluster_run.look(only=True)
        restore = choose_restore(self.cluster_run, sight, planned.record)
        if restore.complaints:
            return "; ".join(map(str, restore.complaints))
        after = self._job_of(sight, restore)
        if after.essence() != before.essence() or replace(restore, notes=()) != replace(planned, notes=()):
            return (
                "found that the hosts changed since the plan was made, wanted them the same; next: run again"
            )
        self._rebuilt.append(after)
        return ""

    def _job_of(self, sight: Sight, restore: Restore) -> Job:
        hosts = {
            member.host: state if member.host in restore.switched else _as_it_will_be(member, state, restore)
            for member in sight.cluster.members
            for state in [sight.hosts[member.host]]
        }
        why = "its data is restored"
        plan = Plan(
            {
                host: Decision(
                    host,
                    "r",
                    "restore" if restore.record.open or not state.service.running else "converge",
                    why,
                )
                for host, state in hosts.items()
            }
        )
        return make_job(replace(sight, hosts=hosts, seen=None), plan, self.now(), restore.record, self.scope)

    def obtain(self) -> str:
        """Bring the snapshot to the controller, taking it first where a survivor gives it.

        Returns:
            What went wrong; empty where the snapshot is there, or is not needed.
        """
        restore = self.restore()
        try:
            if restore.survivor is not None:
                manifest, source = self._taken(restore.survivor), restore.survivor
                path = self._downloaded(manifest, source)
            elif restore.trial is None:
                return ""
            elif restore.trial.here:
                manifest, path = restore.trial.manifest, Path(restore.trial.path)
            else:
                manifest = restore.trial.manifest
                path = self._downloaded(manifest, restore.trial.member)
        except (OSError, ValueError) as error:
            return str(error)
        self._files.append(path)
        problem = "; ".join(map(str, _unfit(self.job(), manifest)))
        if not problem:
            record = replace(restore.record, snapshot=manifest.line)
            self._restores.append(replace(restore, record=record))
            job = self.job()
            self._rebuilt.append(make_job(job.sight, job.plan, self.now(), record, self.scope))
        return problem

    def _taken(self, survivor: Member) -> Manifest:
        job = self.job()
        state, first = job.sight.hosts[survivor.host], job.wanted[survivor.host].version
        releases = releases_for(survivor, state, first)
        taken = give(self.cluster_run, self.cluster_run.name, survivor, state, releases, first)
        if taken.manifest is None and state.endpoint.status is not None:
            # It has been running for longer than the quorum is lost, so it still answers.
            logger.warning(
                f"    {survivor.host}: {taken.problem}; so its running etcd gives what it has applied, without the end of its log"
            )
            taken = take(self.cluster_run, self.cluster_run.name, survivor, "restore", quorum=False)
        if taken.manifest is None:
            raise ValueError(taken.problem)
        misnamed = taken.manifest.misnamed(self.cluster_run.name, survivor.name)
        if misnamed:
            raise ValueError(misnamed)
        return taken.manifest

    def _downloaded(self, manifest: Manifest, source: Member) -> Path:
        def fetch(file: IO[bytes]) -> None:
            host = self.cluster_run.hosts[source.host]
            download(self.cluster_run, host, f"{source.settings.etcd_snapshot_dir}/{manifest.file}", file)

        return keep(backup_folder(source.settings), manifest, fetch)

    @property
    def file(self) -> Path:
        """The snapshot on the controller, once it was obtained."""
        return self._files[-1]

    @property
    def manifest(self) -> Manifest:
        """What the snapshot holds, once it was obtained.

        Raises:
            ValueError: it was not.
        """
        manifest = Manifest.read(self.restore().record.snapshot)
        if manifest is None:
            raise ValueError("found no manifest, wanted the snapshot's; next: run again")
        return manifest

    def bump(self) -> int:
        """Say how far revisions jump: only where every member's release knows how to."""
        job = self.job()
        able = all(versions.has_bump(wanted.version) for wanted in job.wanted.values())
        return job.sight.cluster.settings.etcd_restore_bump if able else 0


def _unfit(job: Job, manifest: Manifest | None) -> list[Complaint]:
    """Complain of a snapshot that the release of some member does not start from."""
    if manifest is None:
        return []
    try:
        found = versions.parse(manifest.version)
    except ValueError:
        return []  # the trial tells whether it starts
    return [
        Complaint(
            host,
            f"a snapshot of etcd {found} ({manifest.file}), and etcd {wanted.version} here",
            "the same minor version, or the next",
            f"set etcd_version to one of {found.minor_line}, or restore another snapshot with etcd_snapshot",
        )
        for host, wanted in job.wanted.items()
        if not found.minor <= wanted.version.minor <= found.minor + 1
    ]


def _as_it_will_be(member: Member, state: HostState, restore: Restore) -> HostState:
    """Describe a host as it is when its old member is stopped and the new data lies in its place."""
    record = restore.record
    identity = Identity(int(record.members.get(member.name, "0"), 16), int(record.id, 16))
    return replace(
        state,
        service=replace(state.service, running=False),
        processes=(),
        started={},
        endpoint=Endpoint(),
        data=Data("complete", identity),
    )

"""The run of `deploys/etcd.py` over one cluster: the job, looked at by all its operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pyinfra import logger
from pyinfra.api import DeployError, Host

from etcd_steward import releases, versions
from etcd_steward.archives import archive
from etcd_steward.consents import unused
from etcd_steward.credentials import Credentials
from etcd_steward.decisions import MAKING
from etcd_steward.desired import WantedFile
from etcd_steward.errors import Complaint
from etcd_steward.expiry import lapsed, outlived
from etcd_steward.job import Job, Scope, make_job
from etcd_steward.objections import reasons_against, to_do
from etcd_steward.reachability import confirmed
from etcd_steward.report import judge
from etcd_steward.rollout import Failures, Rollout
from etcd_steward.run import ClusterRun, Sight, refuse
from etcd_steward.survivors import name_furthest
from etcd_steward.work import Work

__all__ = ["Converge"]


@dataclass
class Converge:
    """One run over one cluster.

    Args:
        cluster_run: what the run knows of the cluster.
        scope: what the verb may change.
        label: tells several passes of one run apart.
    """

    cluster_run: ClusterRun
    scope: Scope = field(default_factory=Scope)
    label: str = ""
    _rebuilt: list[Job] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Converge({self.cluster_run.name!r})"

    @property
    def rollout(self) -> Rollout:
        """Who gives out the turns."""
        return self.cluster_run.rollout

    @property
    def failures(self) -> Failures:
        """Who has failed anything in this run."""
        return self.cluster_run.failures

    def now(self) -> datetime:
        """The time of the run."""
        return self.cluster_run.now()

    def once(self, what: str, make: Callable[[], Any]) -> Any:
        """Make something for the whole cluster once in this pass."""
        return self.cluster_run.once(f"{self.label} {what}".strip(), make)

    def job(self) -> Job:
        """Return the job, computed once, and anew when the authorities have been made.

        Raises:
            DeployError: there are reasons against the run; no host was changed.
        """
        if self._rebuilt:
            return self._rebuilt[-1]
        result: Job = self.once("job", self._make)
        return result

    def _make(self) -> Job:
        sight, plan = self.cluster_run.planned()
        plan = name_furthest(self.cluster_run, sight, plan)
        job = make_job(sight, plan, self.now(), scope=self.scope)
        complaints = reasons_against(job) + self._mode(job) + self._unheard(job)
        complaints += unused(job) if self.scope == Scope() else []
        refuse(complaints)
        return job

    def _unheard(self, job: Job) -> list[Complaint]:
        data = job.plan.acting("start")
        if not data or outlived(job.sight.credentials, self.now()):
            # Where the authorities have ended, no verb makes valid certificates.
            return []
        alone = set(data) <= set(lapsed(job.sight.cluster, job.sight.hosts, self.now()))
        if alone and not self.scope.certificates_only:
            return [
                Complaint(
                    self.cluster_run.name,
                    f"members that run, but whose certificates have ended ({', '.join(data)}), so that no quorum answers",
                    "valid certificates",
                    "run deploys/renew.py, which gives all of them new ones and restarts nobody",
                )
            ]
        if job.order and not alone and self.scope.certificates_only:
            return [
                Complaint(
                    self.cluster_run.name,
                    "no quorum, and not only for certificates that have ended",
                    "every member running",
                    "run deploys/etcd.py, which starts the members and makes such certificates anew too",
                )
            ]
        return []

    def _mode(self, job: Job) -> list[Complaint]:
        from etcd_steward.cli_mode import one_by_one  # noqa: PLC0415 - only here

        mode = one_by_one()
        if mode and job.joins:
            return [
                Complaint(
                    self.cluster_run.name,
                    f"{mode} while {', '.join(job.joins)} is to join",
                    "the others judged after it has joined",
                    f"run without {mode}",
                )
            ]
        if not job.plan.acting("bootstrap"):
            # Down members come first; in these modes pyinfra itself chooses who comes first.
            down = [host for host in job.order if not job.sight.hosts[host].endpoint.healthy]
            if not (mode and down and len(job.order) > 1):
                return []
            return [
                Complaint(
                    self.cluster_run.name,
                    f"{mode} while {', '.join(down)} is down",
                    "the turn of a member that is down before all others",
                    f"run without {mode}",
                )
            ]
        if self.cluster_run.limited() != set(self.cluster_run.hosts):
            return [
                Complaint(
                    self.cluster_run.name,
                    "--limit or --exclude",
                    "all hosts, to make a cluster",
                    "run without it",
                )
            ]
        if mode:
            return [
                Complaint(
                    self.cluster_run.name,
                    mode,
                    "all members started together, to make a cluster",
                    f"run without {mode}",
                )
            ]
        return []

    def lapsed(self) -> tuple[str, ...]:
        """Name the hosts whose member is unheard, as it runs with certificates that have ended."""
        job = self.job()
        return lapsed(job.sight.cluster, job.sight.hosts, self.now())

    def proved_after(self, host: str) -> tuple[str, ...]:
        """Name the hosts whose members must be healthy once a host has had its turn.

        Args:
            host: whose turn it was.

        Returns:
            The host itself; but of members whose certificates had ended all at once, after the last of them: any of
            them may need the others to be healthy.
        """
        job = self.job()
        lapsed = [
            name
            for name in job.order
            if name in self.lapsed() and name in self.cluster_run.limited() and not job.works[name].restart
        ]
        if host not in lapsed:
            return (host,)
        return tuple(lapsed) if host == lapsed[-1] else ()

    def rebuild(self, credentials: Credentials) -> None:
        """Work out the job again, now that the authorities are there.

        Args:
            credentials: with the authorities.
        """
        job = self.job()
        sight = replace(job.sight, credentials=credentials)
        self._rebuilt.append(make_job(sight, job.plan, self.now(), job.record, self.scope))

    def look_again(self) -> str:
        """Probe all hosts again after the prompt.

        Returns:
            What has changed; empty where nothing has.
        """
        before = self.job()
        sight = self.cluster_run.look()
        plan = sight.decide()
        after = make_job(sight, plan, self.now(), before.record if before.gate else None, self.scope)
        if after.essence() == before.essence():
            self._rebuilt.append(after)
            return ""
        silent = self.cluster_run.fallen_silent(before.sight)
        if silent:
            return silent
        changed = [
            host
            for host in before.works
            if before.works[host] != after.works[host]
            or before.plan.decisions[host] != after.plan.decisions[host]
            or before.unscheduled.get(host) != after.unscheduled.get(host)
            or before.unprepared.get(host) != after.unprepared.get(host)
        ]
        then, now = ("; ".join(to_do(job)) or "nothing" for job in (before, after))
        logger.warning(f"    {self.cluster_run.name}: planned: {then}; now: {now}")
        return f"found {', '.join(changed) or 'the order of turns'} changed since the plan was made, wanted the same plan; next: run again"

    def look_after(self, before: str) -> None:
        """Look again when an earlier pass of this run has changed the members.

        Args:
            before: what that pass was, for the message.

        Raises:
            DeployError: the cluster is not as that pass should have left it.
        """
        sight = self.cluster_run.look()
        plan = sight.decide()
        after = make_job(sight, plan, self.now(), scope=self.scope)
        complaints = reasons_against(after)
        if complaints:
            raise DeployError(f"after {before}: " + "; ".join(map(str, complaints)))
        self._rebuilt.append(after)

    def unsettled(self, host: str) -> list[WantedFile]:
        """List the files that are written last on a host: those that no running process reads.

        Args:
            host: the inventory's name of the host.
        """
        job = self.job()
        if host in job.joins:
            # It was started with the members of that moment; others may have joined after it.
            config = job.sight.cluster.member(host).settings.config_path
            return [file for file in job.settled[host].files if file.path == config]
        if host not in job.settled or job.plan.decisions[host].action not in {*MAKING, "converge"}:
            return []
        if job.gate:
            open_files = {file.path: file for file in job.wanted[host].files}
            return [
                file
                for file in job.settled[host].files
                if file != open_files[file.path] or (file in job.works[host].files and not file.turn)
            ]
        return [file for file in job.works[host].files if not file.turn]

    def rest(self, host: str) -> Work:
        """Say what besides files is left for last on a host."""
        job = self.job()
        left = job.works[host]
        if host in job.order or job.plan.decisions[host].action != "converge":
            return Work()
        return Work(folders=left.folders, enable=left.enable)

    def arch(self, host: str) -> str:
        """Name a host's architecture as releases do; empty where the host did not answer.

        Args:
            host: the inventory's name of the host.
        """
        state = self.job().sight.hosts[host]
        return versions.release_arch(state.machine) if state.reached else ""

    def archive(self, host: Host) -> Callable[[], releases.Archive]:
        """Return what fetches the release for a host's architecture, once per run.

        Args:
            host: the host.
        """

        def fetch() -> releases.Archive:
            settings = self.job().sight.cluster.settings
            version, arch = self.job().wanted[host.name].version, self.arch(host.name)
            return archive(self.cluster_run, settings, version, arch, host.log)

        return fetch

    def verify(self) -> dict[str, str]:
        """Judge the cluster at the end of the run, looking again where something was changed since the last look.

        Returns:
            For each host with a problem, what it is.
        """
        # A member that is being restarted is no problem, and what is seen before a turn does not show how it ended.
        with self.rollout.between() as turns:
            result: dict[str, str] = self.once(f"verified after {turns} turns", self._verify)
            return result

    def _verify(self) -> dict[str, str]:
        job = self.job()
        sight = job.sight
        if job.changes or self.failures.hosts:
            try:
                sight = self.cluster_run.look()
            except DeployError as error:
                return dict.fromkeys(self.cluster_run.hosts, str(error))
        problems = judge(
            confirmed(self.cluster_run, sight),
            self.cluster_run.limited(),
            self.scope.target,
            any_release=self.scope.any_release,
        )
        if sight is not job.sight:
            # A refusal says more than what ails the member, whose cure would be another run.
            refused, more = self._left_over(sight)
            problems = more | problems | refused
        return problems

    def _left_over(self, sight: Sight) -> tuple[dict[str, str], dict[str, str]]:
        """Plan again after a change: what is refused now, and what could only be seen once quorum came back."""
        plan = sight.decide()
        refused: dict[str, str] = {}
        for complaint in plan.refusals:
            known = complaint.host in self.cluster_run.hosts
            # What is said of the cluster or of the controller fails every host of the run.
            hosts = [complaint.host] if known else sorted(self.cluster_run.limited())
            refused |= dict.fromkeys(hosts, str(complaint))
        if not self.job().plan.acting("start"):
            return refused, {}
        after = make_job(sight, plan, self.now(), scope=replace(self.scope, renew_all=False))
        return refused, {
            host: f"found more to do once the cluster answered ({', '.join(after.works[host].reasons())}), wanted nothing; next: run again"
            for host in after.order
        }

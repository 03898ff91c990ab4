"""What forbids a run that has been worked out: the plan's refusals, unfit hosts, missing signers, and the quorum."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etcd_steward.archives import without_digest
from etcd_steward.decisions import ACTING, MAKING
from etcd_steward.errors import Complaint
from etcd_steward.expiry import spent
from etcd_steward.plan import quorum
from etcd_steward.preflight import check_host, skew_complaint
from etcd_steward.refused import first
from etcd_steward.versions import SUPPORTED_ARCHES

if TYPE_CHECKING:
    from etcd_steward.job import Job

__all__ = ["reasons_against", "to_do"]


def reasons_against(job: Job) -> list[Complaint]:
    """Collect everything that forbids a run, before any host is changed.

    Args:
        job: what the run would do.

    Returns:
        The complaints of the plan, of every host, of the certificates and of the quorum.
    """
    sight, settings = job.sight, job.sight.cluster.settings
    complaints = [*job.plan.refusals, *job.problems]
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        if not state.reached:
            continue
        work = job.works[member.host]
        complaints += check_host(
            member,
            state,
            job.plan.decisions[member.host].action,
            restarts=work.start or work.restart or work.link,
        )
        complaints += _undigested(job, member.host)
        needed = job.works[member.host].certificates
        complaint = sight.credentials.refusal(member.host, needed)
        if complaint is None and not (job.gate and any(map(job.plan.acting, MAKING))):
            complaint = sight.credentials.nobodys(member.host, needed)
        if complaint is not None and job.plan.decisions[member.host].action in ACTING:
            complaints.append(complaint)
        if needed and not settings.etcd_time_sync:
            skewed = skew_complaint(member.host, state.skew(), settings.etcd_max_skew)
            complaints += [skewed] if skewed else []
        if needed and not sight.credentials.signing:
            complaints += sight.credentials.ready_complaints(member)
        complaints += sight.credentials.barred_complaints(member, needed)
        complaints += sight.credentials.suite_complaints(member, state, needed)
    signing = any(one.certificates for one in job.works.values())
    if signing or job.plan.acting("start"):
        ended = spent(sight.credentials, datetime.now(UTC), signing=signing)
        complaints += [ended] if ended else []
    if not complaints and job.changes:
        complaints += _absent(job) + _outage(job)
    return complaints


def _undigested(job: Job, host: str) -> list[Complaint]:
    state, wanted = job.sight.hosts[host], job.wanted.get(host)
    arch = SUPPORTED_ARCHES.get(state.machine)
    if wanted is None or arch is None or str(wanted.version) in state.releases:
        return []
    return without_digest(host, job.sight.cluster.settings, wanted.version, arch)


def _absent(job: Job) -> list[Complaint]:
    return [
        Complaint(
            host,
            f"no answer ({state.problem})",
            "every member within reach before anything is changed",
            f"{first(state.mend)}; what has to be done: " + "; ".join(to_do(job)),
        )
        for host, state in job.sight.hosts.items()
        if not state.reached
    ]


def to_do(job: Job) -> list[str]:
    """Tell what a run would do, by host.

    Args:
        job: what the run would do.
    """
    told = [
        f"{host}: {', '.join(one.reasons()) or 'files'}" for host, one in job.works.items() if one.anything
    ]
    told += [f"{host}: {', '.join(lack.told())}" for host, lack in job.unprepared.items()]
    return told + [f"{host}: the schedule of snapshots" for host in job.unscheduled]


def _outage(job: Job) -> list[Complaint]:
    sight, cluster = job.sight, job.sight.cluster
    voters = sight.voters
    stopped = [host for host in job.order if job.works[host].restart]
    moves = [host for host in job.joins if job.plan.decisions[host].action == "move"]
    stopped += [host for host in moves if sight.hosts[host].service.running]
    if not stopped or voters - 1 >= quorum(voters) or cluster.settings.etcd_allow_outage:
        return []
    return [
        Complaint(
            stopped[0],
            f"{voters} voters, so that a restart loses the quorum",
            "consent, or at least 3 voters",
            "set etcd_allow_outage = True: nobody can write for some seconds while each member restarts",
        ),
    ]

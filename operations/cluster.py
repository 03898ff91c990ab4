"""A cluster as a whole: looked at again, waited for, passed through its gate, and verified."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward import rights
from etcd_steward.claiming import enter
from etcd_steward.failing import fail, failing, not_now
from etcd_steward.observed import refuses_user
from etcd_steward.operations.membership import fail_unhealthy
from etcd_steward.preflight import skew_complaint
from etcd_steward.shell import script
from etcd_steward.talk import ask, await_healthy, ctl, reach_peers
from etcd_steward.uploads import obtained

if TYPE_CHECKING:
    from etcd_steward.converge import Converge

__all__ = ["awaited", "confirmed", "formed", "judged", "ready", "verified"]

Commands = Generator[StringCommand | FunctionCommand, None, None]

# etcd's own advice for the write-ahead log: 99 % of its fsyncs within 10 ms (etcd FAQ).
_GOOD_FSYNC_MS = 10


@operation()
def confirmed(run: Converge, verb: str = "etcd") -> Commands:
    """
    Lock the cluster where something is to be changed, look again, and refuse to go on where the plan would be another.

    + run: the run of this cluster
    + verb: what is about to be done, for others who find the lock
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("what is planned is looked at again before it is executed")
        return

    def lock_and_look() -> str:
        problem = obtained(host.state)
        if problem:
            return problem
        job = run.job()
        problem = enter(run.cluster_run, verb, job.sight, changes=job.changes)
        if problem or not (job.changes or host.state.check_for_changes):
            return problem
        return run.look_again()

    problem = run.once("look again", lock_and_look)
    if problem:
        yield failing(problem)
        return
    host.noop("the plan holds")


@operation()
def ready(run: Converge) -> Commands:
    """
    Judge the clock of a host that gets new certificates, and the disk of one that gets a new member.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    left = job.works[host.name]
    fresh = (
        job.plan.decisions[host.name].action == "bootstrap" and not job.sight.hosts[host.name].service.running
    )
    if not left.certificates and not fresh:
        host.noop("neither clock nor disk has to be judged")
        return
    if not host.state.is_executing:
        yield StringCommand("# judge clock and disk")
        return
    yield FunctionCommand(_judge, (run, fresh), {})


def _judge(state: State, host: Host, run: Converge, fresh: bool) -> bool:
    job = run.job()
    settings = job.sight.cluster.member(host.name).settings
    skew = job.sight.hosts[host.name].skew()
    if settings.etcd_time_sync and skew_complaint(host.name, skew, settings.etcd_max_skew):
        skew = run.cluster_run.probe([host.name])[host.name].skew()
    complaint = skew_complaint(host.name, skew, settings.etcd_max_skew)
    if complaint is not None:
        return fail(state, host, str(complaint))
    if fresh:
        folder = settings.etcd_wal_dir or settings.etcd_data_dir
        for line in ask(run.cluster_run, host.name, script("enter.sh", "fsync.sh", folder=folder)):
            word, _, took = line.partition(" ")
            if word == "fsync" and int(took) > _GOOD_FSYNC_MS:
                host.log_styled(
                    f"a durable write in {folder} takes {took} ms; etcd wants 10 ms or less. "
                    "Raise heartbeat-interval and election-timeout in etcd_config, or use a faster disk",
                    fg="yellow",
                )
    return True


@operation()
def formed(run: Converge) -> Commands:
    """
    Let a cluster pass its gate: every member healthy, one cluster id, all voters, every peer port, one write seen by all.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    starting = job.plan.decisions[host.name].action == "start"
    if not job.gate and not starting:
        host.noop("the cluster has already formed")
        return
    instead = not_now(
        host, run.failures, StringCommand("# wait for all members, then try them"), "not awaited"
    )
    if instead is not None:
        yield instead
        return
    yield FunctionCommand(_wait, (run,), {})
    if job.gate:
        yield FunctionCommand(_try, (run,), {})


@operation()
def awaited(run: Converge) -> Commands:
    """
    Wait until every member is healthy, without writing anything to the cluster.

    + run: the run of this cluster
    """
    host = context.host
    instead = not_now(host, run.failures, StringCommand("# wait for all members"), "not awaited")
    if instead is not None:
        yield instead
        return
    yield FunctionCommand(_wait, (run,), {})


def _wait(state: State, host: Host, run: Converge) -> bool:
    job = run.job()
    member = job.sight.cluster.member(host.name)
    settings = member.settings
    status, said = await_healthy(run.cluster_run, member, settings.etcd_timeout)
    if status is None:
        return fail_unhealthy(run, host, member, said, "a quorum", "then run again")
    wanted = job.record.id if job.record else ""
    if wanted and f"{status.cluster:016x}" != wanted:
        return fail(
            state,
            host,
            f"found {member.name} in cluster {status.cluster:016x}, wanted {wanted}; next: see docs/troubleshooting.md",
        )
    if status.version != str(job.wanted[host.name].version):
        return fail(
            state,
            host,
            f"found etcd {status.version} running, wanted {job.wanted[host.name].version}; next: look at the links",
        )
    return True


def _try(state: State, host: Host, run: Converge) -> bool:
    cluster = run.job().sight.cluster
    member = cluster.member(host.name)
    unreached = reach_peers(run.cluster_run, member, list(cluster.members))
    if unreached:
        return fail(
            state,
            host,
            f"found peer ports that {member.name} cannot reach ({'; '.join(unreached)}), wanted all; next: open the port between the members",
        )
    if member != cluster.members[0]:
        return True
    far = cluster.members[-1]
    key, value = f"etcd-steward/gate/{secrets.token_hex(8)}", secrets.token_hex(8)
    written = ask(
        run.cluster_run,
        member.host,
        ctl(member, "guard.sh", "gate-put.sh", endpoint=member.loopback_url, name=key, value=value),
    )
    found = ask(run.cluster_run, far.host, ctl(far, "gate-get.sh", endpoint=far.loopback_url, name=key))
    refused = next((line for line in [*written, *found] if refuses_user(line)), "")
    if refused:
        return fail(
            state,
            host,
            f"found etcd's authentication enabled, and no rights for us ({refused}), wanted the user {rights.user(member)} "
            f"with the role root; next: {rights.cure(member)}",
        )
    if f"value {value}" not in found:
        return fail(
            state,
            host,
            f"found {found or written or 'nothing'} on {far.name} after a write on {member.name}, wanted that write; next: look at both logs",
        )
    return True


@operation()
def verified(run: Converge) -> Commands:
    """
    Hold the promise: every endpoint healthy, one cluster id, all voters, the wanted versions; fails the run if not.

    + run: the run of this cluster
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is verified when it is executed")
        return
    problems = run.verify()
    if host.name in problems:
        yield failing(problems[host.name])
        return
    host.noop("the cluster is as promised")


@operation()
def judged(problem: str) -> Commands:
    """
    Fail with a problem that was found by looking, and change nothing.

    + problem: what was found, what was wanted, what to do next; empty where all is well
    """
    host = context.host
    if not problem:
        host.noop("the cluster is healthy")
        return
    if not host.state.is_executing:
        host.noop("is judged when it is executed")
        return
    yield failing(problem)

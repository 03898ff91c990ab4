"""The gates of an upgrade: nothing is restarted before all members agree on their data, and it lies in a snapshot."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.failing import fail, failing, not_now
from etcd_steward.gates import downgrading, stray_downgrade
from etcd_steward.gating import Secured, compare, end_downgrade, secure, secure_anew, unburden
from etcd_steward.raft_gate import await_raft_snapshot
from etcd_steward.raft_snapshots import leads_to_3_7
from etcd_steward.staging import stage_everywhere
from etcd_steward.upgrading import running_versions

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.versions import Version

__all__ = [
    "agreed",
    "concluded",
    "looked_after",
    "secured",
    "secured_below",
    "snapped",
    "staged",
    "unburdened",
]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def looked_after(run: Converge, before: str, release: Version | None = None) -> Commands:
    """
    Look again after an earlier step of the same run.

    + run: the run of this cluster
    + before: what that step was
    + release: which release every member must run after it
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is looked at when it is executed")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not looked at again"))
        return

    def look(state: State, host: Host) -> bool:
        try:
            run.once("looked after", lambda: _look_after(run, before, release))
        except Exception as error:  # noqa: BLE001 - it is told, and ends the run for this host
            return fail(state, host, str(error))
        return True

    yield FunctionCommand(look, (), {})


def _look_after(run: Converge, before: str, release: Version | None) -> None:
    run.look_after(before)
    running = running_versions(run.job().sight.hosts)
    behind = [host for host in run.cluster_run.hosts if release and running.get(host) != release]
    if behind:
        told = ", ".join(f"{running.get(host, 'no etcd')} on {host}" for host in behind)
        raise ValueError(f"found {told}, wanted {release} on all before the next step; next: run again")


@operation()
def staged(run: Converge, step: Version) -> Commands:
    """
    Put a release onto all hosts before the first of them uses it, though pyinfra goes through them one by one.

    + run: the run of this cluster
    + step: the release
    """
    host = context.host
    job = run.job()
    if not host.state.is_executing:
        yield StringCommand("# stage etcd", str(step))
        return
    problem = run.once("staged", lambda: stage_everywhere(run, step))
    if problem:
        yield failing(f"{problem}; no member was touched")
        return
    if str(step) in job.sight.hosts[host.name].releases or host.name not in job.order:
        host.noop(f"etcd {step} is already there")
        return
    yield FunctionCommand(_staged, (step,), {})


def _staged(state: State, host: Host, step: Version) -> bool:
    del state
    host.log(f"etcd {step} lies beside the others")
    return True


@operation()
def agreed(run: Converge, *, step: Version, everybody: bool = True, downgrade: bool = False) -> Commands:
    """
    Compare the hashes of the members at one revision, and ask etcd itself where the way leads down.

    + run: the run of this cluster
    + step: the release that members are about to be brought to
    + everybody: whether those that were down must answer as well
    + downgrade: whether the cluster's version has to be lowered first
    """
    host = context.host
    job = run.job()
    if not job.order:
        host.noop("no member changes its release")
        return
    instead = not_now(host, run.failures, StringCommand("# compare the members' data"), "left untouched")
    if instead is not None:
        yield instead
        return

    problem = run.once(
        f"agreed {everybody}", lambda: compare(run, step, everybody=everybody, downgrade=downgrade)
    )
    if problem:
        yield failing(problem)
        return
    host.noop("all members hold the same keys")


@operation()
def unburdened(run: Converge, step: Version) -> Commands:
    """
    Look for what keeps 3.6 from starting: keys of the v2 interface, and members that only one of 3.5's two stores knows.

    + run: the run of this cluster
    + step: the release that members are about to be brought to
    """
    host = context.host
    job = run.job()
    if not job.order:
        host.noop("no member changes its release")
        return
    instead = not_now(host, run.failures, StringCommand("# look into the old stores"), "left untouched")
    if instead is not None:
        yield instead
        return
    problem = run.once("unburdened", lambda: unburden(run, step))
    if problem:
        yield failing(problem)
        return
    host.noop("nothing is in the way of 3.6")


@operation()
def snapped(run: Converge, step: Version) -> Commands:
    """
    Wait until a member on 3.6 has a raft snapshot behind which nothing of 3.5 lies; 3.7 panics on what lies there.

    + run: the run of this cluster
    + step: the release that members are about to be brought to
    """
    host = context.host
    job = run.job()
    running = running_versions(job.sight.hosts).get(host.name)
    if host.name not in job.order or running is None or not leads_to_3_7(running):
        host.noop("this member does not go from 3.6 to 3.7")
        return
    instead = not_now(
        host, run.failures, StringCommand("# await a raft snapshot before", str(step)), "left untouched"
    )
    if instead is not None:
        yield instead
        return

    def wait(state: State, host: Host) -> bool:
        problem = await_raft_snapshot(run, job.sight.cluster.member(host.name))
        return fail(state, host, f"{problem}; no member was brought to {step}") if problem else True

    yield FunctionCommand(wait, (), {})


@operation()
def secured_below(run: Converge) -> Commands:
    """
    Take a snapshot after a downgrade: the earlier ones are of the higher release, which the members no longer restore.

    + run: the run of this cluster
    """
    host = context.host
    instead = not_now(
        host, run.failures, StringCommand("# take a snapshot of the lower release"), "no snapshot was taken"
    )
    if instead is not None:
        yield instead
        return
    safe: Secured = run.once("secured below", lambda: secure_anew(run, run.cluster_run.look()))
    if safe.problem:
        yield failing(safe.problem.removesuffix("; no member was touched"))
        return
    if host.name == safe.host:
        yield FunctionCommand(_told, (safe,), {})
        return
    host.noop(f"a snapshot of the lower release is on {safe.host}")


@operation()
def secured(run: Converge, step: Version) -> Commands:
    """
    Take a verified snapshot before the first restart, on the host of one member; without it no member is touched.

    + run: the run of this cluster
    + step: the release that members are about to be brought to
    """
    host = context.host
    job = run.job()
    if not job.order:
        host.noop("no member changes its release")
        return
    instead = not_now(
        host, run.failures, StringCommand("# take a snapshot before", str(step)), "left untouched"
    )
    if instead is not None:
        yield instead
        return
    safe: Secured = run.once("secured", lambda: secure(run, step))
    if safe.problem or safe.manifest is None:
        yield failing(safe.problem)
        return
    if safe.taken and host.name == safe.host:
        yield FunctionCommand(_told, (safe,), {})
        return
    host.noop(f"{safe.manifest.file} on {safe.host} holds revision {safe.manifest.revision}")


@operation()
def concluded(run: ClusterRun, sight: Sight, *, due: bool) -> Commands:
    """
    End a downgrade that is still enabled though every member runs a newer line: a cut run, or a snapshot, has left it.

    + run: the run of this cluster
    + sight: what was seen
    + due: whether this run leaves members on a release that may have such a thing
    """
    host = context.host
    statuses = [state.endpoint.status for state in sight.hosts.values() if state.endpoint.status]
    if not host.state.is_executing and downgrading(statuses) and (due or stray_downgrade(statuses)):
        yield StringCommand("# end the downgrade to", downgrading(statuses))
        return
    if not host.state.is_executing or not (due or stray_downgrade(statuses)):
        host.noop("no downgrade is enabled that nobody is on")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not looked at for a downgrade"))
        return

    # Under --serial and --no-wait others may still have their turn to come; whoever is last sees it done.
    with run.rollout.between():
        problem = end_downgrade(run, list(sight.cluster.members))
    if problem:
        yield failing(problem)
        return
    host.noop("no downgrade is enabled that nobody is on")


def _told(state: State, host: Host, safe: Secured) -> bool:
    del state
    if safe.manifest is not None:
        host.log(f"{safe.manifest.file}: revision {safe.manifest.revision}, {safe.manifest.keys} keys")
    for name in safe.pruned:
        host.log(f"{name} has had its time and was removed")
    return True

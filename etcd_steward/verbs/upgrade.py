"""Upgrade: bring a running cluster to another release, one minor version and one member at a time."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import Host, deploy

from etcd_steward.cli_mode import one_by_one
from etcd_steward.clusters import cluster_run
from etcd_steward.converge import Converge
from etcd_steward.errors import Complaint
from etcd_steward.gates import FIRST_STORED
from etcd_steward.job import Scope
from etcd_steward.operations import cluster, membership, release, upgrading
from etcd_steward.report import tell_faults
from etcd_steward.run import ClusterRun, refuse
from etcd_steward.upgrading import Path, choose_path
from etcd_steward.uploads import due
from etcd_steward.versions import Version, judge_target

__all__ = ["upgrade"]


@deploy("upgrade")
def upgrade() -> None:
    """Upgrade the host's cluster to `etcd_version`, or take a half-done upgrade back with `etcd_rollback`."""
    host = context.host
    found = cluster_run(host)
    if found is None:
        host.noop("no member of an etcd cluster")
        return
    path: Path = found.once("path", lambda: _path(found))
    passes = [_pass(found, path, number) for number in range(len(path.steps))]
    last: Converge = (
        passes[-1] if passes else found.once("converge", lambda: Converge(found, Scope(), "unchanged"))
    )
    sight = last.job().sight

    cluster.confirmed(name="Look again", run=passes[0] if passes else last, verb="upgrade")
    steps = list(enumerate(zip(passes, path.steps, strict=True)))
    for _, (run, step) in host.loop(steps):
        _stage(host, run, step.to)
    for number, (run, step) in host.loop(steps):
        if number:
            before = path.steps[number - 1].to
            upgrading.looked_after(name=f"Look after {before}", run=run, before=str(before), release=before)
        if path.wants_raft_snapshots(number):
            if not number:
                _raft_snapshots(host, found, path, run)
            upgrading.snapped(name=f"Await raft snapshots before {step.to}", run=run, step=step.to)
        first, others = _order(found, run, first=number == 0)
        upgrading.agreed(
            name=f"Compare the members before {step.to}",
            run=run,
            step=step.to,
            everybody=not first,
            downgrade=path.downgrade and not (number == 0 and path.lowered),
        )
        upgrading.secured(name=f"Secure the data before {step.to}", run=run, step=step.to)
        if step.to.minor_line == "3.6" and not path.downgrade:
            upgrading.unburdened(name=f"Look into the old stores before {step.to}", run=run, step=step.to)
        _turns(host, run, step.to, first)
        if first and others:
            # Those that were down could not be asked before.
            upgrading.agreed(name=f"Compare all members on the way to {step.to}", run=run, step=step.to)
        _turns(host, run, step.to, others)
        membership.settled(name=f"Settle {step.to}", run=run)
    stored = bool(path.steps) and path.steps[-1].to >= FIRST_STORED
    upgrading.concluded(name="Look for a downgrade that is left", run=found, sight=sight, due=stored)
    if path.downgrade and passes:
        upgrading.secured_below(name=f"Secure the data on {path.steps[-1].to}", run=last)
    cluster.verified(name="Verify the cluster", run=last)


def _stage(host: Host, run: Converge, to: Version) -> None:
    sight = run.job().sight
    missing = str(to) not in sight.hosts[host.name].releases
    obtain = due(host, run.archive(host), missing=missing)
    if one_by_one():
        upgrading.staged(name=f"Stage {to} on all hosts", run=run, step=to)
        return
    release.staged(
        name=f"Stage {to}",
        version=str(to),
        obtain=obtain,
        prefix=sight.cluster.member(host.name).settings.etcd_prefix,
        arch=run.arch(host.name),
        missing=missing,
    )


def _path(found: ClusterRun) -> Path:
    sight, _ = found.planned()
    path = choose_path(sight, found.limited())
    mode = one_by_one()
    several = [
        Complaint(
            found.name,
            f"{what} and {mode}",
            "each step finished on all members before the next begins",
            f"run without {mode}",
        )
        for what, there in (
            (f"{len(path.steps)} steps", len(path.steps) > 1),
            ("raft snapshots to be made before 3.7", path.wants_raft_snapshots(0)),
        )
        if mode and there
    ]
    refuse([*path.complaints, *several])
    tell_faults(found.name, sight)
    for number, step in enumerate(path.steps):
        if path.wants_raft_snapshots(number):
            logger.info(
                f"    {found.name}: every member makes a raft snapshot on 3.6 first, with a low snapshot-count, "
                "as 3.7 cannot read what 3.5 wrote into the log behind the last one"
            )
        logger.info(f"    {found.name}: to etcd {step.to} ({step.why})")
        for advice in judge_target(step.to):
            logger.warning(f"    {found.name}: etcd {step.to}: {advice.text} ({advice.source})")
    if not path.steps:
        logger.info(f"    {found.name}: every member runs etcd {sight.cluster.settings.etcd_version}")
    return path


def _pass(found: ClusterRun, path: Path, number: int) -> Converge:
    step = path.steps[number]
    label = f"to {step.to}"
    scope = Scope(target=step.to, raft_snapshots=path.wants_raft_snapshots(number + 1))
    run: Converge = found.once(label, lambda: Converge(found, scope, label))
    return run


def _raft_snapshots(host: Host, found: ClusterRun, path: Path, following: Converge) -> None:
    """Let the members that are on 3.6 already make raft snapshots often; a step to 3.6 of this run does so itself."""
    label = "raft snapshots"
    scope = Scope(raft_snapshots=True, any_release=True)
    run: Converge = found.once(label, lambda: Converge(found, scope, label))
    for turned in host.loop(run.job().order):
        if turned == host.name:
            name = run.job().sight.cluster.member(turned).name
            membership.turn(name=f"Frequent raft snapshots on {name}", run=run, _serial=True)
    upgrading.looked_after(
        name="Look after the raft snapshots", run=following, before=f"the turns before {path.steps[0].to}"
    )


def _turns(host: Host, run: Converge, to: Version, hosts: tuple[str, ...]) -> None:
    for turned in host.loop(hosts):
        if turned == host.name:
            name = run.job().sight.cluster.member(turned).name
            membership.turn(name=f"{to} on {name}", run=run, _serial=True)


def _order(found: ClusterRun, run: Converge, *, first: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say who gets a turn: those that are down, and then the others."""
    if not first:
        # Later passes are only planned once the earlier ones are done: until then every member may need a turn.
        return (), tuple(found.hosts)
    job = run.job()
    healthy = [host for host in job.order if job.sight.hosts[host].endpoint.healthy]
    return tuple(host for host in job.order if host not in healthy), tuple(healthy)

"""Upgrade: bring a running cluster to another release, one minor version and one member at a time."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.converge import Converge
from etcd_steward.job import Scope
from etcd_steward.operations import cluster, membership, release, upgrading
from etcd_steward.run import ClusterRun, cluster_run, refuse
from etcd_steward.upgrading import Path, choose_path

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
    state = sight.hosts[host.name]
    settings = sight.cluster.member(host.name).settings

    cluster.confirmed(name="Look again", run=passes[0] if passes else last, verb="upgrade")
    for run, step in zip(passes, path.steps, strict=True):
        release.staged(
            name=f"Stage {step.to}",
            version=str(step.to),
            obtain=run.archive(host),
            prefix=settings.etcd_prefix,
            arch=run.arch(host.name),
            missing=str(step.to) not in state.releases,
        )
    for number, (run, step) in enumerate(zip(passes, path.steps, strict=True)):
        if number:
            upgrading.looked_after(
                name=f"Look after {path.steps[number - 1].to}", run=run, before=str(path.steps[number - 1].to)
            )
        upgrading.agreed(
            name=f"Compare the members before {step.to}",
            run=run,
            downgrade_to=step.to if path.downgrade else None,
        )
        for turned in host.loop(_order(found, run, first=number == 0)):
            if turned == host.name:
                membership.turn(
                    name=f"{step.to} on {sight.cluster.member(turned).name}", run=run, _serial=True
                )
        membership.settled(name=f"Settle {step.to}", run=run)
    cluster.verified(name="Verify the cluster", run=last)


def _path(found: ClusterRun) -> Path:
    sight, _ = found.planned()
    path = choose_path(sight, found.limited())
    refuse(list(path.complaints))
    for step in path.steps:
        logger.info(f"    {found.name}: to etcd {step.to} ({step.why})")
    if not path.steps:
        logger.info(f"    {found.name}: every member runs etcd {sight.cluster.settings.etcd_version}")
    return path


def _pass(found: ClusterRun, path: Path, number: int) -> Converge:
    step = path.steps[number]
    label = f"to {step.to}"
    run: Converge = found.once(label, lambda: Converge(found, Scope(target=step.to), label))
    return run


def _order(found: ClusterRun, run: Converge, *, first: bool) -> tuple[str, ...]:
    # Later passes are only planned once the earlier ones are done: until then every member may need a turn.
    return run.job().order if first else tuple(found.hosts)

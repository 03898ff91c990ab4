"""Rotate the authorities: clients keep working while trust moves from the old ones to new ones."""

from __future__ import annotations

from typing import get_args

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.converge import Converge
from etcd_steward.job import Scope
from etcd_steward.operations import cluster, membership, rotation, upgrading
from etcd_steward.rotation import Phase, just_made, phases_left, reasons_against_rotation
from etcd_steward.run import ClusterRun, cluster_run, refuse

__all__ = ["rotate_ca"]


@deploy("rotate_ca")
def rotate_ca() -> None:
    """Give the host's cluster new authorities: trust both, reissue, trust the new one."""
    host = context.host
    found = cluster_run(host)
    if found is None:
        host.noop("no member of an etcd cluster")
        return
    phases: list[Phase] = found.once("phases", lambda: _phases(found))
    settings = found.settings[host.name]
    wait = "reissue" in phases and not settings.etcd_clients_ready
    if wait:
        phases = [phase for phase in phases if phase == "trust both"]
    passes = [_pass(found, phase) for phase in phases]
    sight = found.planned()[0]
    names = {member.host: member.name for member in sight.cluster.members}
    last: Converge = found.once("unchanged", lambda: Converge(found, Scope(), "unchanged"))

    cluster.confirmed(name="Look again", run=passes[0] if passes else last, verb="rotate_ca")
    if passes:
        rotation.made(name="Make the next authorities", run=found)
    for run, phase in zip(passes, phases, strict=True):
        upgrading.looked_after(name=f"Look before: {phase}", run=run, before=f"the phase before `{phase}`")
        for turned in host.loop(tuple(names)):
            if turned == host.name:
                membership.turn(name=f"{phase.capitalize()} on {names[turned]}", run=run, _serial=True)
    rotation.adopted(name="Adopt the next authorities", run=found, wait=wait)
    cluster.verified(name="Verify the cluster", run=last)


def _phases(found: ClusterRun) -> list[Phase]:
    sight, _ = found.planned()
    phases = phases_left(sight.cluster, sight.hosts)
    refuse(reasons_against_rotation(sight.credentials, phases))
    if (
        len(phases) == len(get_args(Phase))
        and just_made(sight.credentials, found.now())
        and not sight.cluster.settings.etcd_ca_lost
    ):
        logger.info(f"    {found.name}: the authority was made within the last day; nothing is rotated")
        return []
    return phases


def _pass(found: ClusterRun, phase: Phase) -> Converge:
    scope = Scope(phase=phase, certificates_only=phase == "reissue")
    run: Converge = found.once(phase, lambda: Converge(found, scope, phase))
    return run

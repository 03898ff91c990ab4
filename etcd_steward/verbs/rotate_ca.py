"""Rotate the authorities: clients keep working while trust moves from the old ones to new ones."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import DeployError, deploy

from etcd_steward.authority import PkiError
from etcd_steward.cli_mode import apart
from etcd_steward.clusters import cluster_run
from etcd_steward.converge import Converge
from etcd_steward.job import Scope
from etcd_steward.next_authorities import just_rotated
from etcd_steward.operations import cluster, membership, rotation
from etcd_steward.rotation import (
    PHASES,
    Phase,
    allowed,
    next_folder,
    not_ready,
    phases_left,
    reasons_against_rotation,
)
from etcd_steward.run import ClusterRun, refuse

__all__ = ["rotate_ca"]
TOGETHER = "all members, as each phase has to reach all of them before the next one begins"


@deploy("rotate_ca")
def rotate_ca() -> None:
    """Give the host's cluster new authorities: trust both, reissue, trust the new one."""
    host = context.host
    found = cluster_run(host)
    if found is None:
        host.noop("no member of an etcd cluster")
        return
    left: list[Phase] = found.once("phases", lambda: _phases(found))
    phases = allowed(left, found.settings[host.name].etcd_clients_ready)
    waiting_for = next((phase for phase in left if phase not in phases), None)
    passes = [_pass(found, phase) for phase in phases]
    sight = found.planned()[0]
    names = {member.host: member.name for member in sight.cluster.members}
    unchanged: Converge = found.once("unchanged", lambda: Converge(found, Scope(), "unchanged"))
    first, last = (passes[0], passes[-1]) if passes else (unchanged, unchanged)
    # What speaks against the run is told once, before any operation begins.
    first.job()

    cluster.confirmed(name="Look again", run=first, verb="rotate_ca")
    if passes:
        rotation.made(name="Make the next authorities", run=found)
    for run, phase in zip(passes, phases, strict=True):
        rotation.gated(name=f"Look before: {phase}", run=run, phase=phase)
        if phase == "reissue":
            cluster.ready(name="Judge the clock", run=run)
        for turned in host.loop(tuple(names)):
            if turned == host.name:
                membership.turn(name=f"{phase.capitalize()} on {names[turned]}", run=run, _serial=True)
    rotation.adopted(name="Adopt the next authorities", run=found, waiting_for=waiting_for)
    cluster.verified(name="Verify the cluster", run=last)


def _phases(found: ClusterRun) -> list[Phase]:
    sight, _ = found.planned()
    settings = sight.cluster.settings
    try:
        phases = phases_left(sight.cluster, sight.hosts)
        refuse(reasons_against_rotation(sight.credentials, phases))
    except PkiError as error:
        raise DeployError(str(error)) from error
    before = just_rotated(sight.credentials, found.now())
    if phases == list(PHASES) and before is not None and not next_folder(sight.cluster).exists():
        logger.info(
            f"    {found.name}: the authorities came from a rotation within the last day; nothing is rotated. "
            f"To rotate once more, move {before} elsewhere first"
        )
        return []
    if not phases and settings.etcd_ca_cert:
        logger.info(
            f"    {found.name}: all members trust the authority of etcd_ca_cert alone; nothing is left to rotate"
        )
    refuse(apart(found, TOGETHER) if phases else [])
    if phases and not allowed(phases, settings.etcd_clients_ready):
        refuse([not_ready(sight.cluster, phases[0])])
    return phases


def _pass(found: ClusterRun, phase: Phase) -> Converge:
    scope = Scope(phase=phase, certificates_only=phase == "reissue")
    run: Converge = found.once(phase, lambda: Converge(found, scope, phase))
    return run

"""Rotate the authorities: clients keep working while trust moves from the old ones to new ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from pyinfra import context, logger
from pyinfra.api import DeployError, deploy

from etcd_steward.authority import PkiError, Store
from etcd_steward.cli_mode import apart
from etcd_steward.clients_seen import look_at_clients, not_ready_yet
from etcd_steward.clusters import cluster_run
from etcd_steward.converge import Converge
from etcd_steward.errors import Complaint
from etcd_steward.job import Scope, in_turns
from etcd_steward.next_authorities import just_rotated
from etcd_steward.operations import cluster, membership, rotation
from etcd_steward.preflight import skew_complaint
from etcd_steward.rotation import (
    PHASES,
    Phase,
    allowed,
    early,
    following,
    next_folder,
    not_ready,
    phases_left,
    reasons_against_rotation,
)
from etcd_steward.run import ClusterRun, Sight, refuse

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
    waiting: Mapping[Phase, tuple[Complaint, ...]] = found.once("waiting", lambda: _waiting(found, left))
    phases = list(takewhile(lambda phase: phase not in waiting, left))
    until = next(iter(waiting.values()), ())
    passes = [_pass(found, phase) for phase in phases]
    sight = found.planned()[0]
    names = {member.host: member.name for member in sight.cluster.members}
    unchanged: Converge = found.once(
        "unchanged", lambda: Converge(found, Scope(any_release=True), "unchanged")
    )
    first, last = (passes[0], passes[-1]) if passes else (unchanged, unchanged)
    # What speaks against the run is told once, before any operation begins.
    first.job()

    cluster.confirmed(name="Look again", run=first, verb="rotate_ca")
    if passes:
        rotation.made(name="Make the next authorities", run=found)
    for run, phase in host.loop(list(zip(passes, phases, strict=True))):
        rotation.gated(name=f"Look before: {phase}", run=run, phase=phase)
        if phase == "reissue":
            cluster.ready(name="Judge the clock", run=run)
        for turned in host.loop(in_turns(sight)):
            if turned == host.name:
                membership.turn(name=f"{phase.capitalize()} on {names[turned]}", run=run, _serial=True)
    rotation.adopted(name="Adopt the next authorities", run=found, waiting=until)
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
    # Whose clock is wrong cannot be told from here: authorities of a clock that is ahead would be valid for nobody.
    refuse(_skewed(sight) if phases else [])
    own = settings.etcd_ca_cert or settings.etcd_ca_lost
    waiting = None if own or not phases else Store(next_folder(sight.cluster)).load(keys=False)
    if waiting is not None and early(waiting):
        logger.warning(
            f"    {found.name}: {next_folder(sight.cluster)} holds authorities that are not valid yet, as a clock was wrong "
            "when they were made; they are put aside, and others are made"
        )
    return phases


def _skewed(sight: Sight) -> list[Complaint]:
    told = [
        skew_complaint(member.host, state.skew(), member.settings.etcd_max_skew)
        for member in sight.cluster.members
        if (state := sight.hosts[member.host]).reached
    ]
    return [one for one in told if one is not None]


def _waiting(found: ClusterRun, left: list[Phase]) -> dict[Phase, tuple[Complaint, ...]]:
    """Say for which phases the clients have to be waited for, those that are known and those that are not."""
    cluster = found.planned()[0].cluster
    may = allowed(left, cluster.settings.etcd_clients_ready)
    clients = look_at_clients(found) if left else []
    coming = following(cluster, keys=False)
    told = {
        phase: (
            *([] if phase in may else [not_ready(cluster, phase)]),
            *not_ready_yet(cluster, phase, clients, coming),
        )
        for phase in left
    }
    if left:
        refuse(list(told[left[0]]))
    return {phase: complaints for phase, complaints in told.items() if complaints}


def _pass(found: ClusterRun, phase: Phase) -> Converge:
    scope = Scope(phase=phase, certificates_only=phase == "reissue", any_release=True)
    run: Converge = found.once(phase, lambda: Converge(found, scope, phase))
    return run

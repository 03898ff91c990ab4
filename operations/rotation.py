"""A new authority for a running cluster."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import DeployError, FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.authority import PkiError
from etcd_steward.errors import Complaint
from etcd_steward.failing import fail, failing, not_now
from etcd_steward.next_authorities import adopt_next, make_next, next_made
from etcd_steward.rotation import (
    PHASES,
    Phase,
    following,
    next_folder,
    phases_left,
)

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.run import ClusterRun

__all__ = ["adopted", "gated", "made"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def made(run: ClusterRun) -> Commands:
    """
    Make the next authorities on the controller, unless they wait there already or are brought, and the clients' bundle.

    + run: the run of this cluster
    """
    host = context.host
    cluster = run.planned()[0].cluster
    if next_made(cluster):
        host.noop("the next authorities are already made")
        return
    instead = not_now(host, run.failures, StringCommand("# make the next authorities"), "not made")
    if instead is not None:
        yield instead
        return

    def make() -> None:
        make_next(cluster, (run.planned()[0].credentials.carried or ("",))[0], run.now())

    def command(state: State, host: Host) -> bool:
        try:
            run.once("next authorities", make)
        except PkiError as error:
            return fail(state, host, str(error))
        return True

    yield FunctionCommand(command, (), {})


@operation()
def gated(run: Converge, phase: Phase) -> Commands:
    """
    Look again before a phase, and let it begin only when every member has gone through the one before.

    + run: the run of this cluster in this phase
    + phase: the phase that is to begin
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is looked at when it is executed")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not begun"))
        return

    def look() -> str:
        try:
            run.look_after(f"the phase before `{phase}`")
        except (DeployError, PkiError) as error:
            return str(error)
        sight = run.job().sight
        early = [
            one for one in phases_left(sight.cluster, sight.hosts) if PHASES.index(one) < PHASES.index(phase)
        ]
        if not early:
            return ""
        return f"found members that have not gone through `{early[0]}`, wanted all before `{phase}`; next: run again"

    problem = run.once("gated", look)
    if problem:
        yield failing(problem)
        return
    host.noop("every member is ready for this phase")


@operation()
def adopted(run: ClusterRun, waiting: tuple[Complaint, ...]) -> Commands:
    """
    Make the next authorities the present ones, once every host carries them alone.

    + run: the run of this cluster
    + waiting: why this run ends before all phases, until the clients are ready for the next one
    """
    host = context.host
    cluster = run.planned()[0].cluster
    if not host.state.is_executing:
        if next_folder(cluster).exists() or waiting:
            yield StringCommand("# adopt the next authorities, or wait for the clients")
        else:
            host.noop("is judged when it is executed")
        return

    def adopt() -> str:
        if run.failures.hosts:
            return run.failures.told("not adopted")
        if waiting:
            return "; ".join(str(one).removeprefix(f"{cluster.name}: ") for one in waiting)
        coming = following(cluster, keys=False) if next_folder(cluster).exists() else None
        if coming is None:
            return ""
        sight = run.look()
        left = phases_left(sight.cluster, sight.hosts)
        if left:
            return f"found hosts that are not there yet ({', '.join(left)}), wanted the new authority alone; next: run again"
        adopt_next(cluster, coming)
        return ""

    problem = run.once("adopted", adopt)
    if problem:
        yield failing(problem)
        return
    host.noop("the new authority is the present one")

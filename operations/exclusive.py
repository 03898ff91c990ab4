"""The right to change a cluster, for verbs that do not converge it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, StringCommand, operation

from etcd_steward.claiming import enter
from etcd_steward.failing import failing
from etcd_steward.uploads import obtained

if TYPE_CHECKING:
    from etcd_steward.run import ClusterRun, Sight

__all__ = ["claimed"]


@operation()
def claimed(
    run: ClusterRun, verb: str, sight: Sight, changes: bool, again: Callable[[], bool]
) -> Generator[StringCommand | FunctionCommand, None, None]:
    """
    Lock the cluster where something is to be changed, look again, and refuse to go on where the plan would be another.

    + run: the run of this cluster
    + verb: what is about to be done, for others who find the lock
    + sight: what was seen when the plan was made
    + changes: whether anything is to be changed
    + again: looks again, and says whether the plan is still the same
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("what is planned is looked at again before it is executed")
        return

    def lock_and_look() -> str:
        problem = obtained(host.state) or enter(run, verb, sight, changes=changes)
        if problem or not changes or again():
            return problem
        silent = run.fallen_silent(sight)
        if silent:
            return silent
        return "found that the plan changed since it was made, wanted the same; next: run again"

    problem = run.once(f"lock for {verb}", lock_and_look)
    if problem:
        yield failing(problem)
        return
    host.noop("the plan holds")

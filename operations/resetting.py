"""The end of a cluster: stopped on every host, and all that it had moved aside."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.credentials import pki_folder
from etcd_steward.failing import fail, not_now
from etcd_steward.record import put_controller_record_aside
from etcd_steward.resetting import choose_reset

if TYPE_CHECKING:
    from etcd_steward.resetting import Reset
    from etcd_steward.run import ClusterRun, Sight

__all__ = ["forgotten"]


@operation()
def forgotten(
    run: ClusterRun, sight: Sight, reset: Reset
) -> Generator[StringCommand | FunctionCommand, None, None]:
    """
    Look again, and move the controller's record aside once nothing is left on any host; the authorities stay.

    + run: the run of this cluster
    + sight: what was seen
    + reset: what was left
    """
    host = context.host
    silent = [name for name in run.limited() if not sight.hosts[name].reached]
    if not (reset.anything or silent):
        host.noop("nothing is left of this cluster")
        return
    instead = not_now(
        host, run.failures, StringCommand("# move the controller's record aside"), "not forgotten"
    )
    if instead is not None:
        yield instead
        return

    def forget(state: State, host: Host) -> bool:
        limit = run.limited()
        now = run.look(only=True)
        left = choose_reset(now, limit)
        unreached = [name for name, seen in now.hosts.items() if not seen.reached and name in limit]
        if unreached:
            return fail(
                state,
                host,
                f"found no answer from {', '.join(unreached)}, wanted every host; next: run again when they are back, "
                "or with --exclude for those that are lost",
            )
        if left.complaints:
            return fail(state, host, str(left.complaints[0]))
        # Under pyinfra's --serial each host comes here before the next was stopped: the last one does it.
        if left.behind:
            host.log(f"still there: {', '.join(left.behind)}")
            return host.name not in left.behind or fail(
                state,
                host,
                f"found {', '.join(left.behind[host.name])} left, wanted all aside; next: run again",
            )
        record = sight.records.get("the controller")
        if record is not None:
            run.once(
                "forgotten", lambda: put_controller_record_aside(pki_folder(sight.cluster.settings), record)
            )
        return True

    yield FunctionCommand(forget, (), {})

"""Drills: a snapshot proved by restoring it where it can do no harm."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.backing_up import revisions
from etcd_steward.drilling import try_out
from etcd_steward.failing import fail
from etcd_steward.job import linked_release
from etcd_steward.leftovers import DRILL, abandoned
from etcd_steward.shell import script
from etcd_steward.snapshots import age, differences

if TYPE_CHECKING:
    from etcd_steward.drilling import Trial
    from etcd_steward.run import ClusterRun, Sight

__all__ = ["drilled"]


@operation()
def drilled(
    run: ClusterRun, sight: Sight, trial: Trial
) -> Generator[StringCommand | FunctionCommand, None, None]:
    """
    Restore a snapshot into a throw-away etcd on one host, compare it with its manifest, and take it away again.

    + run: the run of this cluster
    + sight: what was seen of the cluster
    + trial: which snapshot, and on which host; on the others only what an interrupted drill has left is removed
    """
    host = context.host
    if host.name != trial.member.host:
        # The host of the drill sweeps by itself, under its lock. A drill's folder holds all keys.
        old = abandoned(sight.hosts[host.name], DRILL)
        if old:
            yield StringCommand(script("sweep.sh", abandoned=old))
            return
        host.noop(f"the drill is on {trial.member.host}")
        return
    if not host.state.is_executing:
        yield StringCommand("# try", trial.manifest.file)
        return

    def work(state: State, host: Host) -> bool:
        manifest = trial.manifest
        seen = sight.hosts[host.name]
        release = linked_release(trial.member, seen)
        restored, problem = try_out(run, sight.cluster.name, trial, seen.machine, release)
        if restored is None:
            return fail(state, host, problem)
        wrong, untold = differences(manifest, restored)
        for note in untold:
            host.log_styled(f"note: {note}", fg="yellow")
        if wrong:
            told = "; ".join(wrong)
            return fail(state, host, f"{told}, in {trial.path}; next: do not restore it, take another one")
        taken = age(int(sight.hosts[host.name].now) - manifest.seconds)
        host.log(
            f"a restore of {manifest.file} would bring back "
            f"{f'{restored.keys} keys' if restored.keys is not None else 'its keys, which were not counted,'} "
            f"of {manifest.time} (age {taken}), revision {manifest.revision}, as {manifest.member} had them"
        )
        gone = max(revisions(sight).values(), default=0) - manifest.revision
        if gone > 0:
            host.log(f"the cluster is {gone} revisions ahead of it: these would be lost")
        return True

    yield FunctionCommand(work, (), {})

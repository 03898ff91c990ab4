"""A new authority for a running cluster."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.authority import PkiError, Store
from etcd_steward.failing import fail, failing
from etcd_steward.rotation import adopt_next, next_folder, phases_left, trust_both_file
from etcd_steward.work import subject

if TYPE_CHECKING:
    from etcd_steward.run import ClusterRun

__all__ = ["adopted", "made"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def made(run: ClusterRun) -> Commands:
    """
    Make the next authorities on the controller, unless they wait there already.

    + run: the run of this cluster
    """
    host = context.host
    cluster = run.planned()[0].cluster
    folder = next_folder(cluster)
    if Store(folder).load(keys=False) is not None:
        host.noop("the next authorities are already made")
        return
    if not host.state.is_executing:
        yield StringCommand("# make the next authorities")
        return

    def make() -> None:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = cluster.settings
        following = Store(folder).create(
            subject(settings.etcd_subject),
            settings.etcd_ca_days,
            run.now(),
            f"{cluster.name}, {run.now():%Y-%m-%d}",
        )
        carried = run.planned()[0].credentials.carried
        trust_both_file(cluster).write_text((carried[0] if carried else "") + following.client.pem)

    def command(state: State, host: Host) -> bool:
        try:
            run.once("next authorities", make)
        except PkiError as error:
            return fail(state, host, str(error))
        return True

    yield FunctionCommand(command, (), {})


@operation()
def adopted(run: ClusterRun, wait: bool) -> Commands:
    """
    Make the next authorities the present ones, once every host carries them alone.

    + run: the run of this cluster
    + wait: the run ends after the first phase, until all clients trust both
    """
    host = context.host
    cluster = run.planned()[0].cluster
    if Store(next_folder(cluster)).load(keys=False) is None and not host.state.is_executing:
        yield StringCommand("# adopt the next authorities")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not adopted"))
        return
    if wait:
        yield failing(
            "found clients that may not trust the next authority yet, wanted all of them to trust both; "
            f"next: give every client {trust_both_file(cluster)} as its authority, then run again with --data etcd_clients_ready=true",
        )
        return

    def adopt() -> str:
        following = Store(next_folder(cluster)).load(keys=False)
        if following is None:
            return ""
        sight = run.look()
        left = phases_left(sight.cluster, sight.hosts)
        if left:
            return f"found hosts that are not there yet ({', '.join(left)}), wanted the new authority alone; next: run again"
        adopt_next(cluster, following)
        return ""

    problem = run.once("adopted", adopt)
    if problem:
        yield failing(problem)
        return
    host.noop("the new authority is the present one")

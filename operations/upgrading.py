"""The gates of an upgrade: nothing is restarted before all members agree on their data."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.failing import fail, failing
from etcd_steward.talk import ask, ctl
from etcd_steward.upgrading import differing_hashes
from etcd_steward.versions import Version

if TYPE_CHECKING:
    from etcd_steward.converge import Converge

__all__ = ["agreed", "looked_after"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def looked_after(run: Converge, before: str) -> Commands:
    """
    Look again after an earlier step of the same run.

    + run: the run of this cluster
    + before: what that step was
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is looked at when it is executed")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not looked at again"))
        return

    def look(state: State, host: Host) -> bool:
        try:
            run.once("looked after", lambda: run.look_after(before))
        except Exception as error:  # noqa: BLE001 - it is told, and ends the run for this host
            return fail(state, host, str(error))
        return True

    yield FunctionCommand(look, (), {})


@operation()
def agreed(run: Converge, downgrade_to: Version | None = None) -> Commands:
    """
    Compare the hashes of all members at one revision, and ask etcd itself where the way leads down.

    + run: the run of this cluster
    + downgrade_to: the release that a downgrade leads to
    """
    host = context.host
    job = run.job()
    if not job.order:
        host.noop("no member changes its release")
        return
    if not host.state.is_executing:
        yield StringCommand("# compare the members' data")
        return

    def compare() -> str:
        return _compare(run, downgrade_to)

    problem = run.once("agreed", compare)
    if problem:
        yield failing(problem)
        return
    host.noop("all members hold the same keys")


def _compare(run: Converge, downgrade_to: Version | None) -> str:
    sight = run.job().sight
    statuses = {host: state.endpoint.status for host, state in sight.hosts.items() if state.endpoint.status}
    revision = min(int(status["header"].get("revision", 1)) for status in statuses.values())
    observer = next(member for member in sight.cluster.members if sight.hosts[member.host].endpoint.healthy)
    question = ctl(observer, "hashes.sh", endpoints=",".join(sight.cluster.endpoints), revision=revision)
    answer = ask(run.cluster_run, observer.host, question)
    try:
        difference = differing_hashes(answer[-1] if answer else "", len(sight.cluster.endpoints))
    except ValueError as error:
        return f"{error}, wanted one hash from every member; next: run again"
    if difference:
        return (
            f"found members that hold different keys at revision {revision} ({difference}), wanted the same; "
            "next: see docs/troubleshooting.md, and replace the member that differs before anything else"
        )
    if downgrade_to is None:
        return ""
    allowed = ask(
        run.cluster_run,
        observer.host,
        ctl(observer, "downgrade.sh", endpoint=observer.loopback_url, line=downgrade_to.minor_line),
    )
    if "allowed" in allowed:
        return ""
    return f"found that etcd refuses the downgrade ({' '.join(allowed)[:200]}), wanted its consent; next: see etcd's downgrade guide"

"""The databases of a cluster: compacted, defragmented one at a time, and freed from the alarm NOSPACE."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.decisions import outage_told
from etcd_steward.failing import fail, failing, not_now
from etcd_steward.maintaining import Database
from etcd_steward.operations.membership import other_voters
from etcd_steward.shell import guard
from etcd_steward.talk import ask, ctl, hand_over
from etcd_steward.tending import raised, serving
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from etcd_steward.maintaining import Care
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member

__all__ = ["compacted", "defragmented", "disarmed"]

Commands = Generator[StringCommand | FunctionCommand, None, None]

PASS = "defragment"  # noqa: S105 - the name of a pass over the members
# Seconds that a member may need until it answers.
_PATIENCE = 10


@operation()
def compacted(run: ClusterRun, sight: Sight, care: Care) -> Commands:
    """
    Forget old revisions, so that defragmenting can give their place back.

    + run: the run of this cluster
    + sight: what was seen
    + care: what is done
    """
    host = context.host
    if not care.compact_to or host.name != _first(run, sight):
        host.noop("no compaction is needed" if not care.compact_to else "another host compacts")
        return
    instead = not_now(
        host, run.failures, StringCommand("# compact up to revision", str(care.compact_to)), "not compacted"
    )
    if instead is not None:
        yield instead
        return

    def compact(state: State, host: Host) -> bool:
        problem = run.once("compacted", lambda: _compact(run, sight, care))
        if problem:
            return fail(state, host, problem)
        host.log(f"the history up to revision {care.compact_to} is forgotten")
        return True

    yield FunctionCommand(compact, (), {})


def _first(run: ClusterRun, sight: Sight) -> str:
    return next(
        (
            name
            for name, host in run.hosts.items()
            if run.state.is_host_in_limit(host) and sight.hosts[name].reached
        ),
        "",
    )


def _compact(run: ClusterRun, sight: Sight, care: Care) -> str:
    member = sight.cluster.members[0]
    seconds = member.settings.etcd_timeout
    question = ctl(
        member,
        "guard.sh",
        "compact.sh",
        endpoint=member.loopback_url,
        revision=care.compact_to,
        seconds=seconds,
    )
    answer = ask(run, member.host, question, COMMAND_S)
    if "compacted" in answer:
        return ""
    return f"found that etcd does not compact ({' '.join(answer)[:200]}), wanted it done; next: run again"


@operation()
def defragmented(run: ClusterRun, sight: Sight, care: Care) -> Commands:
    """
    Give one member its turn: hand over leadership, write its database anew, and wait until it serves and has caught up.

    + run: the run of this cluster
    + sight: what was seen
    + care: what is done
    """
    host = context.host
    if host.name not in care.order:
        host.noop("this database needs no defragmentation")
        return
    member = sight.cluster.member(host.name)
    if not host.state.is_executing:
        yield StringCommand("# defragment", member.name, f"({care.databases[host.name]})")
        return
    with run.rollout.turn(host.name, PASS) as refusal:
        if refusal:
            yield failing(refusal)
            return
        if care.compact_to:
            problem = run.once("compacted", lambda: _compact(run, sight, care))
            if problem:
                yield failing(problem)
                return
        served = serving(run, member, {member.name: member.client_url}, _PATIENCE)
        if member.name not in served:
            # Without an answer its size would read 0, and so as one that needs nothing.
            yield failing(
                f"found {member.name} not serving, so that the size of its database is unknown, wanted its answer; "
                "next: run deploys/status.py, then run again"
            )
            return
        before = Database.of(served[member.name], member.settings)
        if care.compact_to and not care.nospace and not before.is_due(member.settings):
            host.noop(f"this database needs no defragmentation ({before})")
            return
        yield FunctionCommand(_others_serve, (run, sight, care, member), {})
        question = ctl(member, "defragment.sh", endpoint=member.loopback_url, seconds=3600)
        yield StringCommand(guard() + "\n" + (question + ""))
        yield FunctionCommand(_serves_again, (run, sight, member, before), {})


def _urls(sight: Sight) -> dict[str, str]:
    """Name all whose absence counts: the inventory's members, and voters that it does not know."""
    own = {member.name: member.client_url for member in sight.cluster.members}
    voters = other_voters(sight, sight.cluster.members[0])
    strangers = {name: url for name, url in voters.items() if url not in own.values()}
    return own | {f"{name} ({url})" if name in own else name: url for name, url in strangers.items()}


def _others_serve(
    state: State, host: Host, run: ClusterRun, sight: Sight, care: Care, member: Member
) -> bool:
    urls = _urls(sight)
    served = serving(run, _observer(sight, member), urls, 2)
    down = [name for name in urls if name not in served]
    if down:
        return fail(
            state,
            host,
            f"found {', '.join(down)} not serving, wanted all members serving; next: mend them, then run again",
        )
    problem = raised(run, _observer(sight, member), ["NOSPACE"] if care.nospace else [])
    if problem:
        return fail(state, host, problem)
    own = served[member.name]
    host.log(
        f"{member.name}: {Database.of(own, member.settings)}; it serves nothing while it is defragmented"
    )
    host.log(_arithmetic(served, member))
    others = {name: status for name, status in served.items() if name != member.name}
    if int(own.get("leader", 0)) == int(own["header"]["member_id"]) and others:
        done = [sight.cluster.member(name).name for name in run.rollout.done(PASS)]
        voters = [name for name in [*done, *others] if name in others and not others[name].get("isLearner")]
        if not voters:
            return True
        heir = int(others[voters[0]]["header"]["member_id"])
        if hand_over(run, _observer(sight, member), member.client_url, heir):
            host.log(f"leadership moved to {voters[0]}")
    return True


def _arithmetic(served: Mapping[str, Mapping[str, Any]], member: Member) -> str:
    voters = sum(not status.get("isLearner") for status in served.values())
    return outage_told(
        voters, voters, f"{member.name} is defragmented", "meanwhile, some seconds for each GiB"
    )


def _observer(sight: Sight, member: Member) -> Member:
    return next((one for one in sight.cluster.members if one != member), member)


def _serves_again(
    state: State, host: Host, run: ClusterRun, sight: Sight, member: Member, before: Database
) -> bool:
    observer, urls = _observer(sight, member), _urls(sight)
    leader = serving(run, observer, {name: url for name, url in urls.items() if name != member.name}, 2)
    goal = max((int(status.get("raftIndex", 0)) for status in leader.values()), default=0)
    until = time.monotonic() + member.settings.etcd_timeout
    said = "no answer"
    while time.monotonic() < until:
        status = serving(run, member, {member.name: member.client_url}, 5).get(member.name)
        if status is not None and int(status.get("raftAppliedIndex", 0)) >= goal:
            after = Database.of(status, member.settings)
            host.log(f"{member.name}: {before.size / 2**20:.1f} -> {after.size / 2**20:.1f} MiB")
            return True
        said = (
            "no answer"
            if status is None
            else f"it has applied log entry {status.get('raftAppliedIndex')} of {goal}"
        )
        host.log(f"waiting for {member.name} to serve again ({said})")
    return fail(
        state,
        host,
        f"found {member.name} not serving after {member.settings.etcd_timeout} s ({said}), wanted it back; "
        "next: look at its log; no other member was touched after it",
    )


@operation()
def disarmed(run: ClusterRun, sight: Sight, care: Care) -> Commands:
    """
    End the alarm NOSPACE once every database is below its quota, and hold the promise: all serve, no alarm is left.

    + run: the run of this cluster
    + sight: what was seen
    + care: what was done
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is verified when it is executed")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not verified"))
        return
    # Under pyinfra's --serial each host comes here before the next has had its turn: the last one does it.
    waiting = {name for name in care.order if name not in run.rollout.done(PASS)}
    if not care.anything or waiting:
        host.noop(
            "nothing has to be done" if not care.anything else "is done once all members have had their turn"
        )
        return

    def finish() -> str:
        return _finish(run, sight, care)

    problem = run.once("finished", finish)
    if problem:
        yield failing(problem)
        return
    host.noop("every member serves, and no alarm is raised")


def _finish(run: ClusterRun, sight: Sight, care: Care) -> str:
    observer = sight.cluster.members[0]
    served = serving(run, observer, _urls(sight), 5)
    down = [name for name in _urls(sight) if name not in served]
    if down:
        return f"found {', '.join(down)} not serving, wanted all; next: run deploys/status.py"
    if not care.nospace:
        return raised(run, observer)
    for member in sight.cluster.members:
        database = Database.of(served[member.name], member.settings)
        if database.fill >= 1:
            return (
                f"found {member.name}'s database still at {database}, wanted room below its quota; the alarm stays. "
                "next: delete keys, which works under the alarm, and run again, with a lower etcd_compact_keep where the "
                "history is what fills it"
            )
    question = ctl(observer, "guard.sh", "disarm.sh", endpoint=observer.loopback_url)
    answer = ask(run, observer.host, question)
    if "disarmed" in answer:
        return ""
    return f"found that the alarm stays ({' '.join(answer)[:200]}), wanted none; next: see docs/troubleshooting.md"

"""New members: admitted as learners, started, and promoted once they have caught up."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import gevent
from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.admission import change_members, initial_cluster, list_members
from etcd_steward.commands import MAY_START_EMPTY, apply_command, contents
from etcd_steward.desired import desired
from etcd_steward.failing import fail, failing
from etcd_steward.operations.membership import (
    is_back,
    observer_beside,
    other_voters,
    others_are_well,
    show_error,
)
from etcd_steward.plan import quorum
from etcd_steward.shell import Script
from etcd_steward.talk import ask, await_healthy, look_at

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.observed import ListedMember
    from etcd_steward.topology import Member

__all__ = ["joined"]

Commands = Generator[StringCommand | FunctionCommand, None, None]

# From one voter to two the quorum rises to two: the second one is watched for so long first.
STEADY_S = 5


@operation()
def joined(run: Converge) -> Commands:
    """
    Let one member join, finish joining, be replaced, or move to another address; the others must all be healthy.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    action = job.plan.decisions[host.name].action
    if host.name not in job.joins:
        host.noop("this member does not join")
        return
    member = job.sight.cluster.member(host.name)
    if not host.state.is_executing:
        yield StringCommand("#", action, member.name)
        return
    state = job.sight.hosts[host.name]
    with run.rollout.turn(host.name, run.label) as refusal:
        if refusal:
            yield failing(refusal)
            return
        aside = action == "replace" or (action == "join" and state.data.identity is not None)
        # One that crashes may be started again by its keeper at any moment: it is stopped before its data is moved.
        crashing = action == "replace" and state.data.identity is not None and state.service.exists
        stop = action != "finish" and (state.service.running or crashing)
        yield FunctionCommand(others_are_well, (run, member, stop and action == "move"), {})
        yield FunctionCommand(_admit, (run, member), {})
        members: list[ListedMember] = run.once(f"members for {host.name}", list)
        record, texts = job.record, job.sight.credentials.texts
        if record is None or texts is None:
            yield failing("found neither record nor authority, wanted both; next: run deploys/status.py")
            return
        wanted = desired(
            job.sight.cluster,
            member,
            state,
            record,
            job.wanted[host.name].version,
            texts,
            initial_cluster(members, member),
        )
        left = job.works[host.name]
        files = [
            file for file in wanted.files if file in left.files or file.path == member.settings.config_path
        ]
        made = contents(member, list(left.certificates), files, job.sight.credentials.pair)
        empty = aside or state.data.identity is None
        yield apply_command(
            member,
            state,
            left,
            wanted,
            made,
            stop=stop,
            start=stop or not state.service.running,
            aside=aside,
            empty=empty,
        )
        yield FunctionCommand(_catch_up, (run, member), {})
        yield FunctionCommand(is_back, (run, member), {})


def _admit(state: State, host: Host, run: Converge, member: Member) -> bool:
    job = run.job()
    action = job.plan.decisions[host.name].action
    observer = observer_beside(job.sight, member)
    members = list_members(run.cluster_run, observer)
    listed = next((one for one in members if member.peer_url in one.peer_urls), None)
    learners = [one.name or f"{one.id:016x}" for one in members if one.learner and one != listed]
    if learners:
        return fail(
            state,
            host,
            f"found another learner ({', '.join(learners)}), wanted none; next: run again without this host, so that it is finished first",
        )
    voters = len([one for one in members if not one.learner])
    if action == "replace" and listed is not None:
        host.log(
            f"voters {voters}, quorum {quorum(voters)}: {member.name} ({listed.id:016x}) is removed, then joins anew"
        )
        refused = change_members(run.cluster_run, observer, "remove", number=listed.id)
        if refused:
            return fail(
                state,
                host,
                f"found that etcd does not remove {member.name} ({refused}), wanted it removed; next: see docs/troubleshooting.md",
            )
        listed, voters = None, voters - 1
    if action == "move":
        refused = _move(run, observer, member, members)
        if refused:
            return fail(state, host, refused)
    elif listed is None:
        host.log(
            f"voters {voters}, quorum {quorum(voters)}: {member.name} joins as a learner, which changes neither"
        )
        refused = change_members(run.cluster_run, observer, "add", name=member.name, url=member.peer_url)
        if refused:
            return fail(
                state,
                host,
                f"found that etcd does not admit {member.name} ({refused}), wanted it admitted; next: see docs/troubleshooting.md",
            )
    run.once(f"members for {host.name}", lambda: list_members(run.cluster_run, observer))
    return True


def _move(run: Converge, observer: Member, member: Member, members: list[ListedMember]) -> str:
    found = run.job().sight.hosts[member.host]
    number = found.data.identity.member if found.data.identity else 0
    listed = next((one for one in members if one.id == number), None)
    if listed is None:
        return f"found no member {number:016x} any more, wanted it listed; next: run again"
    header = (found.endpoint.status or {}).get("header", {})
    if int(header.get("member_id", 0)) != number:
        # Where this host's own etcd does not answer as this member, nobody else may: it would be the original of a clone.
        urls = {url: url for url in listed.client_urls}
        alive, _ = look_at(run.cluster_run, observer, urls, unwell=True)
        if any(status.member == number for status in alive.values()):
            return (
                f"found {listed.name} ({number:016x}) alive at {', '.join(listed.client_urls)}, and its data on this host too, "
                "wanted one of them; next: this host is a clone: reinstall it, or stop the original first"
            )
    refused = change_members(run.cluster_run, observer, "update", number=number, url=member.peer_url)
    if refused:
        return f"found that etcd does not move {member.name} ({refused}), wanted {member.peer_url}; next: see docs/troubleshooting.md"
    return ""


def _catch_up(state: State, host: Host, run: Converge, member: Member) -> bool:
    job = run.job()
    observer = observer_beside(job.sight, member)
    settings = member.settings
    healthy, _ = look_at(run.cluster_run, observer, other_voters(job.sight, member))
    goal = max((status.index for status in healthy.values()), default=0)
    status, said = await_healthy(run.cluster_run, member, settings.etcd_timeout, applied=goal, learner=True)
    if status is None:
        show_error(run, host, member)
        return fail(
            state,
            host,
            f"found {member.name} behind after {settings.etcd_timeout} s ({said}), wanted it to catch up; next: run again, which goes on from here",
        )
    # It has its data now: from its next start on it is started with it, or not at all.
    ask(run.cluster_run, host.name, Script("consent", f"rm -f {MAY_START_EMPTY}"))
    members = list_members(run.cluster_run, observer)
    listed = next((one for one in members if member.peer_url in one.peer_urls), None)
    if listed is None or not listed.learner:
        return True
    voters = len([one for one in members if not one.learner])
    if voters == 1 and not _steady(run, member):
        return fail(
            state,
            host,
            f"found {member.name} away within {STEADY_S} s, wanted it steady, as without it nobody can write once it is "
            "a voter; next: look at its log, then run again",
        )
    refused = change_members(run.cluster_run, observer, "promote", number=listed.id)
    if refused:
        return fail(
            state,
            host,
            f"found that etcd does not promote {member.name} yet ({refused}), wanted a voter; next: run again",
        )
    host.log(
        f"voters {voters} -> {voters + 1}, quorum {quorum(voters)} -> {quorum(voters + 1)}: {member.name} is a voter now"
    )
    return True


def _steady(run: Converge, member: Member) -> bool:
    """Watch a learner for a while, where it is about to become half of a quorum."""
    for _ in range(STEADY_S):
        gevent.sleep(1)
        status, _said = await_healthy(run.cluster_run, member, 1, learner=True)
        if status is None:
            return False
    return True

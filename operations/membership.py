"""Members of a cluster: started together when it is made, and afterwards changed one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.commands import apply_command, contents
from etcd_steward.credentials import pki_folder
from etcd_steward.decisions import MAKING, outage_told
from etcd_steward.failing import fail, failing, not_now
from etcd_steward.job import is_down
from etcd_steward.operations.files import show_differences
from etcd_steward.private import private_folder
from etcd_steward.proof import shows_new
from etcd_steward.record import write_controller_record
from etcd_steward.replacing import replacing
from etcd_steward.runtimes import runtime
from etcd_steward.talk import await_healthy, hand_over, kubelets_error, last_errors, look_at
from etcd_steward.upgrading import running_versions

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.run import Sight
    from etcd_steward.topology import Member

__all__ = ["opened", "settled", "started", "turn"]

Commands = Generator[StringCommand | FunctionCommand, None, None]

LEADS_ON = "leadership could not be moved beforehand: etcd hands it on itself when it stops"


@operation()
def opened(run: Converge) -> Commands:
    """
    Create the authorities and open the record of a cluster that is about to be made; both stay on the controller.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    if not (job.gate and any(map(job.plan.acting, MAKING))):
        host.noop("the cluster is already made")
        return
    if host.state.is_executing and run.failures.hosts:
        yield failing(run.failures.told("the record was not opened"))
        return

    def open_record(state: State, host: Host) -> bool:  # noqa: ARG001 - pyinfra calls it so
        def make() -> None:
            credentials = job.sight.credentials
            credentials.create(run.now())
            if job.record is not None:
                private_folder(pki_folder(job.sight.cluster.settings))
                write_controller_record(pki_folder(job.sight.cluster.settings), job.record)
            run.rebuild(credentials)

        run.once("opened", make)
        return True

    yield FunctionCommand(open_record, (), {})


@operation()
def started(run: Converge) -> Commands:
    """
    Write everything that a stopped member needs, and start it; all members of a new cluster at once.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    action = job.plan.decisions[host.name].action
    left = job.works[host.name]
    state = job.sight.hosts[host.name]
    # One that is started again and again runs for its service manager, and one without a leader serves nobody: both get
    # what would mend them. One that serves is left alone while nobody knows of a quorum.
    serving = action == "start" and state.service.running and not state.endpoint.silent
    if action not in {*MAKING, "start"} or not left.anything or serving:
        host.noop("this member is not started here")
        return
    show_differences(left.files)
    instead = not_now(
        host, run.failures, StringCommand("# start", job.sight.cluster.member(host.name).name), "not started"
    )
    if instead is not None:
        yield instead
        return
    member = job.sight.cluster.member(host.name)
    made = contents(member, list(left.certificates), list(left.files), job.sight.credentials.pair)
    stop = state.service.running and (left.restart or left.link or bool(made))
    yield apply_command(
        member, state, left, job.wanted[host.name], made, stop=stop, start=stop or not state.service.running
    )


@operation()
def turn(run: Converge) -> Commands:
    """
    Give one member its turn: hand over leadership, stop, write, start, and wait until it has caught up.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    if host.name not in job.order:
        host.noop("this member needs no turn")
        return
    member = job.sight.cluster.member(host.name)
    left = job.works[host.name]
    show_differences([file for file in left.files if file.turn])
    if not host.state.is_executing:
        yield StringCommand("# turn of", member.name, "for", ", ".join(left.reasons()))
        return
    state = job.sight.hosts[host.name]
    with run.rollout.turn(host.name, run.label) as refusal:
        if refusal:
            yield failing(refusal)
            return
        host.log(f"the turn of {member.name}: {', '.join(left.reasons())}")
        stop = left.restart and state.service.running
        yield FunctionCommand(others_are_well, (run, member, stop), {})
        files = [file for file in left.files if file.turn]
        made = contents(member, list(left.certificates), files, job.sight.credentials.pair)
        yield apply_command(
            member,
            state,
            left,
            job.wanted[host.name],
            made,
            stop=stop,
            start=stop or not state.service.running,
        )
        for proved in run.proved_after(host.name):
            other = job.sight.cluster.member(proved)
            yield FunctionCommand(is_back, (run, other), {})
            if {"server", "peer"}.intersection(job.works[proved].certificates):
                yield FunctionCommand(shows_new, (run, other), {})


def fail_unhealthy(run: Converge, host: Host, member: Member, said: str, wanted: str, what_next: str) -> bool:
    """Fail with what a member said while it was awaited in vain, showing the last error of its log."""
    show_error(run, host, member)
    settings = member.settings
    keeper = runtime(settings, run.job().sight.hosts[member.host].init)
    return fail(
        host.state,
        host,
        f"found {member.name} not healthy after {settings.etcd_timeout} s ({said}), wanted {wanted}; "
        f"next: look at `{keeper.advice or keeper.logs}`, {what_next}",
    )


def show_error(run: Converge, host: Host, member: Member) -> None:
    error = last_errors(run.cluster_run, member)
    if error:
        host.log_styled(f"etcd's last error: {error}", fg="yellow")
    # Without a kubelet there is no etcd, and what its log holds is of an earlier life.
    error = kubelets_error(run.cluster_run, member)
    if error:
        host.log_styled(f"kubelet has ended; its last error: {error}", fg="yellow")


def other_voters(sight: Sight, member: Member) -> dict[str, str]:
    """Name the client URL of every other voter, also of those that the inventory does not know."""
    known = {other.peer_url: other.client_url for other in sight.cluster.members}
    if sight.seen is None:
        return {other.name: other.client_url for other in sight.cluster.members if other.name != member.name}
    identity = sight.hosts[member.host].data.identity
    own = identity.member if identity is not None else None
    voters = [one for one in sight.seen.voters if one.id != own and member.peer_url not in one.peer_urls]
    names = Counter(one.name for one in sight.seen.voters)
    # One that was never started counts as well: it has no name and no client URL, and its peer URL answers nobody here.
    return {
        one.name
        if one.name and names[one.name] == 1
        else f"{one.name or 'never started'} ({one.id:016x})": next(
            (known[url] for url in one.peer_urls if url in known), [*one.client_urls, *one.peer_urls][0]
        )
        for one in voters
    }


def observer_beside(sight: Sight, member: Member) -> Member:
    """Choose the host from which the others are looked at: not the one that is about to change."""
    others = [other for other in sight.cluster.members if other.name != member.name]
    return next(
        (other for other in others if sight.hosts[other.host].endpoint.healthy), (others or [member])[0]
    )


def others_are_well(state: State, host: Host, run: Converge, member: Member, stop: bool) -> bool:
    sight = run.job().sight
    others = other_voters(sight, member)
    # Where several are unheard for the dates of their certificates, all get new ones before any can be proved. And where
    # several are down, the first cannot wait for the next: mending one takes no quorum away.
    excused = set(run.lapsed()) if not stop else set()
    if member.host not in excused:
        mending = run.job().mending
        excused = set(mending) if member.host in mending and is_down(sight.hosts[member.host]) else set()
    names = {sight.cluster.member(name).name for name in excused}
    others = {name: url for name, url in others.items() if name not in names}
    observer = observer_beside(sight, member)
    healthy, down = look_at(run.cluster_run, observer, others) if others else ({}, {})
    if down:
        told = "; ".join(f"{name}: {said}" for name, said in down.items())
        return fail(
            state,
            host,
            f"found other voters down ({told}), wanted all healthy; next: mend them, then run again",
        )
    if not stop:
        return True
    voters = len(others) + 1
    stall = f"until it is back, mostly some seconds, {member.settings.etcd_timeout} s at most"
    serves = sight.hosts[member.host].endpoint.healthy
    host.log(outage_told(voters, len(healthy) + serves, f"{member.name} restarts", stall, serves=serves))
    identity = run.job().sight.hosts[member.host].data.identity
    leads = identity is not None and {status.leader for status in healthy.values()} == {identity.member}
    if leads:
        changed = [run.job().sight.cluster.member(name).name for name in run.rollout.done(run.label)]
        heir = next((name for name in [*changed, *healthy] if name in healthy), None)
        if heir is not None:
            moved = hand_over(run.cluster_run, observer, member.client_url, healthy[heir].member)
            host.log(f"leadership moved to {heir}" if moved else LEADS_ON)
    return True


def is_back(state: State, host: Host, run: Converge, member: Member) -> bool:
    job = run.job()
    others = other_voters(job.sight, member)
    goal = 0
    if others:
        healthy, _ = look_at(run.cluster_run, observer_beside(job.sight, member), others)
        goal = max((status.index for status in healthy.values()), default=0)
    settings = member.settings
    status, said = await_healthy(run.cluster_run, member, settings.etcd_timeout, applied=goal)
    if status is None:
        then = f"correct the settings and run again{_other_ways(run, member)}; no other member was touched after it"
        return fail_unhealthy(run, host, member, said, "it healthy", then)
    wanted = job.wanted[member.host].version
    if status.version != str(wanted):
        return fail(
            state,
            host,
            f"found etcd {status.version} running, wanted {wanted}; next: look at the links in {settings.etcd_bin_dir}",
        )
    return True


def _other_ways(run: Converge, member: Member) -> str:
    """Say what helps a member that does not come back, besides mending it: each is a command of its own."""
    job = run.job()
    done, running = run.rollout.done(run.label), running_versions(job.sight.hosts)
    wanted = job.wanted[member.host].version
    # As long as some member still runs the older release, the cluster's version has not risen.
    older = [
        version
        for name, version in running.items()
        if name not in {member.host, *done} and version.minor_line <= wanted.minor_line and version < wanted
    ]
    if run.scope.target is not None and older:
        return f", or run deploys/upgrade.py --data etcd_rollback=true, which brings it back to {min(older)}"
    if len(job.sight.cluster.members) > 1 and (run.scope.target is not None or job.works[member.host].start):
        return f"; {replacing(member)}"
    return ""


@operation()
def settled(run: Converge) -> Commands:
    """
    Close the record of a cluster that has passed its gate, and write what no running process reads.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    left = run.unsettled(host.name)
    rest = run.rest(host.name)
    if not left and not rest.anything:
        host.noop("nothing is left to be written")
        return
    show_differences(left)
    instead = not_now(
        host,
        run.failures,
        StringCommand("# write", *(file.path for file in left), *(path for path, _, _ in rest.folders)),
        "not written",
    )
    if instead is not None:
        yield instead
        return
    member = job.sight.cluster.member(host.name)
    if job.gate and job.record is not None:
        record = job.record.closed()
        run.once("closed", lambda: write_controller_record(pki_folder(member.settings), record))
    yield apply_command(
        member,
        job.sight.hosts[host.name],
        rest,
        job.settled[host.name],
        contents(member, [], left, job.sight.credentials.pair),
        stop=False,
        start=False,
    )

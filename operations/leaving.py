"""A member that leaves: leadership moved, removed by its id, stopped, and what it leaves behind moved aside."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.admission import change_members, list_members
from etcd_steward.failing import fail, failing, not_now
from etcd_steward.leaving import Count, left_behind, observer_of
from etcd_steward.operations.membership import LEADS_ON
from etcd_steward.operations.snapshot import switch
from etcd_steward.runtimes import runtime
from etcd_steward.schedule import Schedule
from etcd_steward.shell import guard, script
from etcd_steward.talk import hand_over, look_at

if TYPE_CHECKING:
    from etcd_steward.leaving import Leaving
    from etcd_steward.observed import HostState, ListedMember
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member

__all__ = ["aside", "gone", "removed", "stop_and_move_aside"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def removed(run: ClusterRun, sight: Sight, leaving: Leaving, by: str) -> Commands:
    """
    Take a member out of the cluster's list, by its id, after leadership was moved away from it.

    + run: the run of this cluster
    + sight: what was seen
    + leaving: who leaves
    + by: the host on which this is booked; nothing happens on the others
    """
    host = context.host
    entry = leaving.listed
    if entry is None:
        host.noop(f"{leaving.name} is already gone")
        return
    if host.name != by:
        host.noop(f"{leaving.name} is removed by way of {by}")
        return
    if not host.state.is_executing:
        yield StringCommand("# remove", leaving.name, "from the cluster;", str(leaving.count))
        return
    with run.rollout.turn(host.name, "remove") as refusal:
        if refusal:
            yield failing(refusal)
            return
        yield FunctionCommand(_remove, (run, sight, leaving, entry), {})


def _remove(
    state: State, host: Host, run: ClusterRun, sight: Sight, leaving: Leaving, entry: ListedMember
) -> bool:
    observer = observer_of(sight, leaving)
    if observer is None or sight.seen is None:
        return fail(state, host, "found nobody to ask, wanted a healthy member; next: run again")
    urls = client_urls(sight)
    healthy, down = look_at(run, observer, {f"{number:016x}": url for number, url in urls.items()})
    voters = [one.id for one in sight.seen.voters]
    well = {int(number, 16) for number in healthy}
    count = Count(len(voters), len(well & set(voters)), not entry.learner, entry.id in well)
    risk = count.against(consent=sight.cluster.settings.etcd_allow_outage)
    if risk is not None:
        told = "; ".join(f"{number}: {said}" for number, said in down.items())
        return fail(state, host, f"found {risk[0]} ({told}), wanted {risk[1]}; next: {risk[2]}")
    host.log(f"{count} when {leaving.name} leaves")
    heir = next((number for number in voters if number in well - {entry.id}), None)
    leads = {status.leader for status in healthy.values()} == {entry.id}
    if heir is not None and leads:
        moved = hand_over(run, observer, urls[entry.id], heir)
        host.log(f"leadership moved to {heir:016x}" if moved else LEADS_ON)
    refused = change_members(run, observer, "remove", number=entry.id)
    members = list_members(run, observer)
    if refused or not members or entry.id in {one.id for one in members}:
        said = refused or "it is still in the list"
        return fail(
            state,
            host,
            f"found that etcd does not remove {leaving.name} ({said}), wanted it gone; next: run again",
        )
    return True


def client_urls(sight: Sight) -> dict[int, str]:
    """Name a client URL of every listed member that has one: the inventory's, else the one that it advertises.

    Args:
        sight: what was seen.

    Returns:
        URLs by member id.
    """
    known = {member.peer_url: member.client_url for member in sight.cluster.members}
    found = {}
    for one in sight.seen.members if sight.seen else ():
        url = next((known[url] for url in one.peer_urls if url in known), next(iter(one.client_urls), None))
        if url is not None:
            found[one.id] = url
    return found


@operation()
def aside(run: ClusterRun, sight: Sight, member: Member | None, behind: tuple[str, ...]) -> Commands:
    """
    Stop and disable a member's service, and move its data, configuration and record aside, in place.

    + run: the run of this cluster
    + sight: what was seen
    + member: whose host; nothing happens on the others
    + behind: what its host still has of it
    """
    host = context.host
    if member is None or host.name != member.host or not behind:
        host.noop("nothing is left to be moved aside")
        return
    instead = not_now(
        host, run.failures, StringCommand("# move aside:", ", ".join(behind)), "not moved aside"
    )
    if instead is not None:
        yield instead
        return
    yield stop_and_move_aside(member, sight.hosts[host.name], behind)


def stop_and_move_aside(member: Member, state: HostState, behind: tuple[str, ...]) -> StringCommand:
    """Make the command that ends a member's life on its host; done twice, it does nothing more.

    Args:
        member: whose host.
        state: what the probe told of it.
        behind: what `left_behind` told, and further paths.

    Returns:
        The command.
    """
    settings = member.settings
    parts = [guard(), "set -e"]
    if "schedule" in behind:
        ended = Schedule(settings.etcd_service, state.init, wanted=False)
        parts.append(f"{{ {switch(ended, ['disabled'])}\n}} 9>&-")
    if state.service.exists:
        parts.append(f"{{ {runtime(settings, state.init).disable}; }} 9>&-")
    paths = [path for path in behind if path.startswith("/")]
    parts.append(
        script("aside.sh", data_dir=settings.etcd_data_dir, wal_dir=settings.etcd_wal_dir, incoming=None) + ""
    )
    parts.append(script("leave.sh", paths=paths) + "")
    return StringCommand("\n".join(parts))


@operation()
def gone(run: ClusterRun, leaving: Leaving, by: str) -> Commands:
    """
    Hold the promise: the member is not in the list of a quorum, and nothing of it runs on its host.

    + run: the run of this cluster
    + leaving: who leaves
    + by: the host on which this is booked
    """
    host = context.host
    if not host.state.is_executing or host.name != by:
        host.noop("is verified when it is executed")
        return
    if run.failures.hosts:
        yield failing(run.failures.told("not verified"))
        return
    if leaving.anything:
        yield FunctionCommand(_verify, (run, leaving), {})
    else:
        host.noop(f"{leaving.name} is already gone")


def _verify(state: State, host: Host, run: ClusterRun, leaving: Leaving) -> bool:
    sight = run.look(only=True)
    if sight.seen is None:
        return fail(state, host, "found no quorum, wanted one; next: run deploys/status.py")
    if leaving.listed is not None and leaving.listed.id in {one.id for one in sight.seen.members}:
        return fail(
            state, host, f"found {leaving.name} in the list of members, wanted it gone; next: run again"
        )
    member = leaving.member
    if member is not None and (left := left_behind(member.settings, sight.hosts[member.host])):
        return fail(
            state, host, f"found {', '.join(left)} on {member.host}, wanted all of it aside; next: run again"
        )
    host.log(f"{leaving.name} is gone; {len(sight.seen.voters)} voters are left")
    if member is not None and sight.hosts[member.host].reached:
        host.log(f"next: take {member.host} out of the inventory, or deploys/etcd.py lets it join again")
    elif leaving.listed is not None:
        host.log(
            "its host was not reached: before it comes back, stop and disable its etcd there, or run again then"
        )
    return True

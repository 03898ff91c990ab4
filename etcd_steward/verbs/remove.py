"""Remove: take one member out of its cluster, and move what it leaves behind aside."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.errors import Complaint
from etcd_steward.leaving import Leaving, choose_leaving, observer_of
from etcd_steward.operations import exclusive
from etcd_steward.operations import leaving as members
from etcd_steward.run import ClusterRun, Sight, refuse
from etcd_steward.talk import look_at

__all__ = ["remove"]


@deploy("remove")
def remove() -> None:
    """Take the member that `etcd_member` names out of the host's cluster."""
    host = context.host
    run = cluster_run(host)
    if run is None:
        host.noop("no member of an etcd cluster")
        return
    sight, leaving, by = run.once("leaving", lambda: _plan(run))

    exclusive.claimed(
        name="Lock the cluster",
        run=run,
        verb="remove",
        sight=sight,
        changes=leaving.anything,
        again=lambda: _choose(run)[1].essence() == leaving.essence(),
    )
    members.removed(name=f"Remove {leaving.name}", run=run, sight=sight, leaving=leaving, by=by)
    members.aside(
        name="Move what it leaves behind aside",
        run=run,
        sight=sight,
        member=leaving.member,
        behind=leaving.behind,
    )
    members.gone(name="Verify the cluster", run=run, leaving=leaving, by=by)


def _plan(run: ClusterRun) -> tuple[Sight, Leaving, str]:
    sight, leaving = _choose(run)
    refuse(list(leaving.complaints))
    by = _booked_on(run, sight, leaving)
    if leaving.anything and not by:
        found = ("no host of --limit that answered", "one to work through")
        refuse([Complaint(run.name, *found, "bring one back, or widen --limit")])
    if leaving.count is not None:
        logger.info(f"    {run.name}: {leaving.name} leaves: {leaving.count}")
    else:
        logger.info(f"    {run.name}: {leaving.name} is already gone from the list of members")
    return sight, leaving, by


def _choose(run: ClusterRun) -> tuple[Sight, Leaving]:
    sight = run.look(only=True)
    settings = sight.cluster.settings
    return sight, choose_leaving(sight, settings.etcd_member, _healthy(run, sight), run.limited())


def _healthy(run: ClusterRun, sight: Sight) -> set[int]:
    """Return the ids of all members that answer: their own hosts, or else the others when asked about them."""
    if sight.seen is None:
        return set()
    own = {one.peer_url for one in sight.cluster.members if sight.hosts[one.host].endpoint.healthy}
    well = {one.id for one in sight.seen.members if own & {*one.peer_urls}}
    unknown = {f"{number:x}": url for number, url in members.client_urls(sight).items() if number not in well}
    observer = observer_of(sight, Leaving(""))
    if unknown and observer is not None:
        well |= {int(number, 16) for number in look_at(run, observer, unknown)[0]}
    return well


def _booked_on(run: ClusterRun, sight: Sight, leaving: Leaving) -> str:
    limit = run.limited()
    first = [leaving.member.host] if leaving.member is not None else []
    hosts = [name for name in [*first, *run.hosts] if name in limit and sight.hosts[name].reached]
    return hosts[0] if hosts else ""

"""The list of members: asked, and changed one entry at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import gevent

from etcd_steward.answers import read_members
from etcd_steward.observed import ListedMember, listed_members
from etcd_steward.talk import ask, ctl

if TYPE_CHECKING:
    from etcd_steward.run import ClusterRun
    from etcd_steward.topology import Member

__all__ = ["Change", "change_members", "initial_cluster", "list_members"]

# etcd changes its list of members only when every member has been connected for five seconds (HealthInterval), and
# promotes a learner only when it has nearly the whole log.
_PASSING = ("unhealthy cluster", "in sync with leader")
_PATIENCE = 20

Change = Literal["add", "remove", "update", "promote"]


def list_members(run: ClusterRun, observer: Member) -> list[ListedMember]:
    """Ask for the list of members.

    Args:
        run: the run.
        observer: from whose host.

    Returns:
        The list; empty where it was not answered.
    """
    question = ctl(
        observer, "admit.sh", endpoint=observer.loopback_url, action="list", id="", name="", url=""
    )
    for line in ask(run, observer.host, question):
        word, _, rest = line.partition(" ")
        if word == "members":
            try:
                return listed_members(read_members(rest))
            except ValueError:
                return []
    return []


def change_members(
    run: ClusterRun,
    observer: Member,
    change: Change,
    *,
    number: int = 0,
    name: str = "",
    url: str = "",
) -> str:
    """Change one entry of the list of members.

    Args:
        run: the run.
        observer: from whose host.
        change: what is done.
        number: the member's id, for all but `add`.
        name: the new member's name, for `add`.
        url: its peer URL, for `add` and `update`.

    Returns:
        Why etcd refused; empty where it was done.
    """
    question = ctl(
        observer,
        "guard.sh",
        "admit.sh",
        endpoint=observer.loopback_url,
        action=change,
        id=f"{number:x}",
        name=name,
        url=url,
    )
    for _ in range(_PATIENCE):
        lines = ask(run, observer.host, question)
        if "done" in lines:
            return ""
        said = next(
            (line.removeprefix("refused ") for line in lines if line.startswith("refused ")), "no answer"
        )
        if not any(sign in said for sign in _PASSING):
            return said
        run.hosts[observer.host].log(f"waiting for etcd to allow the change ({said})")
        gevent.sleep(1)
    return said


def initial_cluster(members: list[ListedMember], member: Member) -> dict[str, tuple[str, ...]]:
    """Write the list of members as a joining member needs it for its first start.

    Args:
        members: the cluster's own list, in which the member is.
        member: who joins; its entry has no name yet.

    Returns:
        Names and peer URLs; etcd compares them with the list, so the members that are still to come are not in it.
    """
    own = (member.peer_url,)
    named = {one.name: one.peer_urls for one in members if one.peer_urls != own and one.name}
    return {**named, member.name: own}

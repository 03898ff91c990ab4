"""Whether members are reached where clients reach them: each one's client URL, tried from another member's host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import gevent

from etcd_steward.errors import Complaint
from etcd_steward.parsing import read_across
from etcd_steward.talk import ask, ctl

if TYPE_CHECKING:
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member

__all__ = ["Unreached", "complaints_about", "confirmed", "unreached"]

# The look gives it 2 s; a busy Raspberry Pi gets more before anything is said of it.
_PATIENT_S = 10


@dataclass(frozen=True)
class Unreached:
    """A member that serves on its own host, and was not reached from another.

    Args:
        observer: the member from whose host it was tried.
        member: the member.
        url: its client URL, as the cluster's own list has it.
        why: what etcdctl said.
    """

    observer: Member
    member: Member
    url: str
    why: str


def unreached(sight: Sight) -> list[Unreached]:
    """List the members that are healthy on their own hosts, and not reached from the other that tried.

    Args:
        sight: what was seen.

    Returns:
        Them; whoever is down, or on a host that told nothing, is not among them.
    """
    urls = {
        url: listed.id for listed in (sight.seen.members if sight.seen else ()) for url in listed.client_urls
    }
    owners: dict[int, Member] = {}
    for member in sight.cluster.members:
        endpoint = sight.hosts[member.host].endpoint
        if endpoint.healthy and endpoint.status is not None:
            owners[int(endpoint.status["header"]["member_id"])] = member
    found = []
    for observer in sight.cluster.members:
        tried = sight.hosts[observer.host].endpoint.across
        if tried is None or not tried[1]:
            continue
        reached = owners.get(urls.get(tried[0], -1))
        if reached is not None:
            found.append(Unreached(observer, reached, *tried))
    return found


def confirmed(run: ClusterRun, sight: Sight) -> Sight:
    """Try members once more, with patience, that were not reached from another's host.

    Args:
        run: the run.
        sight: what was seen.

    Returns:
        The same, with what the second try told.
    """
    jobs = {one.observer.host: gevent.spawn(_try, run, one) for one in unreached(sight)}
    if not jobs:
        return sight
    gevent.joinall(list(jobs.values()))
    hosts = dict(sight.hosts)
    for host, job in jobs.items():
        endpoint = replace(hosts[host].endpoint, across=job.get())
        hosts[host] = replace(hosts[host], endpoint=endpoint)
    return replace(sight, hosts=hosts)


def _try(run: ClusterRun, one: Unreached) -> tuple[str, str]:
    question = ctl(one.observer, "across.sh", beside=one.url, seconds=_PATIENT_S)
    lines: Sequence[str] = ask(run, one.observer.host, question)
    told = next((read_across(line) for line in lines if line.startswith("across ")), None)
    return (one.url, told[1]) if told else (one.url, one.why)


def complaints_about(sight: Sight, member: Member) -> list[Complaint]:
    """Say that clients cannot reach a member that is healthy on its own host.

    Args:
        sight: what was seen.
        member: the member.

    Returns:
        The complaint, or none.
    """
    return [
        Complaint(
            member.host,
            f"no way from {one.observer.name} to {one.url} ({one.why})",
            "it reached by clients and by the other members",
            _cure(one),
        )
        for one in unreached(sight)
        if one.member.host == member.host
    ]


def _cure(one: Unreached) -> str:
    at = urlsplit(one.url)
    settings = one.member.settings
    if "x509" in one.why or "certificate" in one.why:
        if settings.etcd_certificates_dir:
            return f"give {one.member.name} a server certificate for {at.hostname}, of the CA that all trust, then run deploys/renew.py"
        return "run deploys/renew.py"
    if "refused" in one.why:
        return f"let {one.member.name} listen there: look at etcd_listen_address and etcd_address"
    return f"open port {at.port} of {one.member.name} to the other members and to clients"

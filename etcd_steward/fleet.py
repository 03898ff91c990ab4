"""The hosts of an inventory group that are clients of one cluster, such as its k3s servers or its control planes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import gevent
from pyinfra.api import DeployError

from etcd_steward.addresses import is_loopback, nobodys
from etcd_steward.clients import ClientRun, client_run
from etcd_steward.errors import Complaint, complaints_text
from etcd_steward.machines import sharing
from etcd_steward.settings import Settings, read_settings
from etcd_steward.talk import ask, ctl

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.shell import Script

__all__ = [
    "answers",
    "disagreements",
    "fleet",
    "in_front",
    "kubernetes_keys",
    "member_address",
    "same_names",
    "worked_on",
]


def fleet(host: Host, key: str) -> dict[str, Settings]:
    """Find the hosts of a host's group that are clients of the same cluster.

    Args:
        host: the host that pyinfra is working on.
        key: the setting that names the inventory group.

    Returns:
        Their settings by inventory name, in the inventory's order; empty where the host is none of them.
    """
    own, _ = read_settings(host.name, dict(host.data.dict()))
    if own is None:
        return {}
    listed = host.state.inventory.groups.get(getattr(own, key), ())
    if host.name not in {one.name for one in listed}:
        return {}
    read = {one.name: read_settings(one.name, dict(one.data.dict()))[0] for one in listed}
    return {
        name: settings
        for name, settings in read.items()
        if settings and settings.etcd_client_of == own.etcd_client_of
    }


def in_front(host: Host, key: str, called: str, them: str) -> tuple[ClientRun, dict[str, Settings]] | None:
    """Find the fleet that a host belongs to, and the cluster that it stands in front of.

    Args:
        host: the host that pyinfra is working on.
        key: the setting that names the inventory group.
        called: what one of the fleet is called, such as "k3s server".
        them: what all of them are called, such as "servers".

    Returns:
        The cluster and the settings of the fleet; None where the host is none of them.

    Raises:
        DeployError: it is one of them, but names no cluster.
    """
    client, settings = client_run(host), fleet(host, key)
    if not settings:
        return None
    if client is None:
        complaint = Complaint(
            host.name,
            f"a {called} without etcd_client_of",
            "the name of the cluster that keeps its data",
            f"set etcd_client_of for the {them}",
        )
        raise DeployError(complaints_text([complaint]))
    return client, settings


def answers(
    host: Host, client: ClientRun, settings: Mapping[str, Settings], question: Callable[[Settings], Script]
) -> dict[str, list[str]]:
    """Ask all hosts of a fleet that this run works on, side by side.

    Args:
        host: one of them.
        client: the cluster.
        settings: of every one.
        question: makes the question to a host.

    Returns:
        Their lines by inventory name, in the inventory's order.
    """
    jobs = {
        name: gevent.spawn(ask, client.run, name, question(settings[name]))
        for name in worked_on(host, settings)
    }
    gevent.joinall(list(jobs.values()))
    return {name: job.get() for name, job in jobs.items()}


def worked_on(host: Host, hosts: Mapping[str, Settings]) -> list[str]:
    """Name those of some hosts that this run works on: within `--limit`, and connected.

    Args:
        host: one of them.
        hosts: all of them.
    """
    state = host.state
    found = {name: state.inventory.get_host(name) for name in hosts}
    return [
        name for name, one in found.items() if state.is_host_in_limit(one) and one not in state.failed_hosts
    ]


def disagreements(hosts: Mapping[str, Settings], keys: tuple[str, ...]) -> list[Complaint]:
    """Complain of settings that must be the same on all hosts of a fleet; values are not told, as some are secrets.

    Args:
        hosts: settings by host.
        keys: which settings.
    """
    first = next(iter(hosts))
    return [
        Complaint(
            name,
            f"another {key} than on {first}",
            "the same on all of them",
            f"set {key} once, for all of them",
        )
        for key in keys
        for name, own in hosts.items()
        if getattr(own, key) != getattr(hosts[first], key)
    ]


def same_names(names: Mapping[str, str], called: str, cure: str) -> list[Complaint]:
    """Complain of hosts that a Kubernetes would take for one and the same node.

    Args:
        names: the names of the nodes by host, as far as they are known; capital letters make no difference.
        called: who takes them so.
        cure: what helps besides another host name.
    """
    return [
        Complaint(
            host,
            f"the node name {names[host]}, as on {first}",
            f"a name of its own for each node, as {called} takes nodes of one name for the same node",
            f"`hostnamectl set-hostname NAME` on this host (Alpine: `setup-hostname NAME`, then reboot), or {cure}",
        )
        for host, first in sharing({host: name.lower() for host, name in names.items()})
    ]


def member_address(client: ClientRun, host: str) -> str:
    """Tell the address that a member on the same host is bound to.

    Args:
        client: the cluster.
        host: inventory name of the host.

    Returns:
        An IP address; empty where no member lives there, or it is bound to all addresses, or to loopback.
    """
    if host not in client.run.hosts:
        return ""
    member = client.sight.cluster.member(host)
    # Of loopback, or of every address, no other host reaches it.
    return "" if nobodys(member.listen) or is_loopback(member.listen) else member.listen


def kubernetes_keys(client: ClientRun) -> tuple[list[str], list[Complaint]]:
    """Ask a healthy member for keys of a Kubernetes in its cluster.

    Args:
        client: the cluster.

    Returns:
        Some keys under /registry and /bootstrap, and what keeps it from being known.
    """
    sight = client.sight
    if sight.seen is None:
        return [], [
            Complaint(
                client.run.name,
                "no quorum that answers",
                "a healthy cluster",
                "run deploys/status.py, then deploys/etcd.py",
            )
        ]
    member = sight.cluster.member(sight.seen.source)
    lines = ask(client.run, member.host, ctl(member, "kube-keys.sh", endpoint=member.loopback_url))
    told = [line.partition(" ") for line in lines]
    if sum(word == "asked" for word, _, _ in told) < 2:  # noqa: PLR2004 - /registry and /bootstrap
        why = next((rest for word, _, rest in told if word == "unread"), "no answer")
        return [], [
            Complaint(
                client.run.name,
                f"no way to see whose keys it holds ({why})",
                "an answer of its member",
                "run deploys/status.py",
            )
        ]
    return [rest for word, _, rest in told if word == "key"], []

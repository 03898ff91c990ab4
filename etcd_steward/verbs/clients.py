"""Clients: give every host that names a cluster its client's files, and prove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import deploy

from etcd_steward.clients import client_run, wanted_bundle
from etcd_steward.operations import clients as given

if TYPE_CHECKING:
    from etcd_steward.clients import Bundle, ClientRun

__all__ = ["clients", "give"]


@deploy("clients")
def clients() -> None:
    """Give a host with `etcd_client_of` what a client of that cluster needs."""
    host = context.host
    client = client_run(host)
    if client is None:
        host.noop("no client of an etcd cluster")
        return
    give(client, wanted_bundle(host.name, client.settings))


def give(client: ClientRun, bundle: Bundle, shared: str = "") -> None:
    """Give the host that pyinfra is working on a client's files, and prove that they reach every endpoint.

    Args:
        client: the cluster.
        bundle: the files.
        shared: another host that has the same pair, where that is known.
    """
    given.staged(client)
    given.delivered(name=f"Certificates of {bundle.common_name}", client=client, bundle=bundle, shared=shared)
    given.proved(name=f"Prove that {bundle.common_name} reaches every endpoint", client=client, bundle=bundle)

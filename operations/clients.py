"""What a client of a cluster gets: an authority to trust, a certificate with its key, and the proof that they are enough."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import DeployError, FunctionCommand, StringCommand, operation
from pyinfra.facts.server import Arch

from etcd_steward import versions
from etcd_steward.archives import archive
from etcd_steward.errors import Complaint, complaints_text
from etcd_steward.facts.files import Chain, Digests
from etcd_steward.failing import failing
from etcd_steward.observed import holds
from etcd_steward.operations import release
from etcd_steward.operations.files import writing
from etcd_steward.shell import Content, script
from etcd_steward.talk import ask

if TYPE_CHECKING:
    from etcd_steward.clients import Bundle, ClientRun
    from etcd_steward.releases import Archive

__all__ = ["delivered", "proved", "staged"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


def staged(client: ClientRun) -> None:
    """Put the cluster's release on a client host, for its etcdctl; nothing is linked or started.

    Args:
        client: the cluster.
    """
    host = context.host
    settings, version = client.sight.cluster.settings, client.tool_version
    machine = host.get_fact(Arch) or ""
    try:
        arch = versions.release_arch(machine)
    except ValueError:
        complaint = Complaint(
            host.name,
            f"the machine {machine}",
            "one that etcd has a release for",
            "take it out of the inventory",
        )
        raise DeployError(complaints_text([complaint])) from None

    def obtain() -> Archive:
        return archive(client.run, settings, version, arch, host.log)

    release.staged(
        name="Stage etcdctl", version=str(version), obtain=obtain, prefix=settings.etcd_prefix, arch=arch
    )


@operation()
def delivered(client: ClientRun, bundle: Bundle, shared: str = "") -> Commands:
    """
    Give a client its authority, certificate and key; made anew only when they differ or are near their end.

    + client: the cluster
    + bundle: the files
    + shared: another host that has the same pair, where that is known: then this one gets its own

    **Example:**

    .. code:: python

        from etcd_steward.clients import Bundle, client_run
        from etcd_steward.operations import clients

        client = client_run(host)  # set etcd_client_of beside the host
        if client is not None:
            wanted = Bundle("patroni", "/etc/patroni/ca.pem", "/etc/patroni/etcd.pem", "/etc/patroni/etcd-key.pem", "postgres")
            clients.delivered(name="Certificates for Patroni", client=client, bundle=wanted)
    """
    host = context.host
    found = host.get_fact(Digests, paths=bundle.paths)
    pem = "".join(f"{line}\n" for line in host.get_fact(Chain, path=bundle.certificate))
    reasons = client.reasons(bundle, pem, found)
    copied = [*reasons, f"the pair of {shared}"]
    # It works as it is: a controller that cannot sign leaves it.
    if shared and client.refusal(host.name, copied) is None:
        reasons = copied
    complaint = client.refusal(host.name, reasons)
    if complaint is not None:
        yield failing(str(complaint))
        return
    files = [
        content
        for content in (Content(bundle.ca, client.trusted()), Content(bundle.certificate, pem))
        if (reasons == [] or content.path == bundle.ca) and not holds(found.get(content.path), content)
    ]
    if not reasons and not files:
        host.noop(f"{bundle.common_name} has what it needs")
        return
    if not host.state.is_executing:
        yield StringCommand("# give", bundle.common_name, *(file.path for file in files), *map(repr, reasons))
        return
    if reasons:
        host.log(f"a new certificate for {bundle.common_name}: {', '.join(reasons)}")
        files += client.made(bundle)
    yield writing(files)


@operation()
def proved(client: ClientRun, bundle: Bundle) -> Commands:
    """
    Prove from the client host, with exactly its files, that every endpoint of the cluster is reached and serves.

    + client: the cluster
    + bundle: the files
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is proved when it is executed")
        return
    missing = dict.fromkeys(client.endpoints, "no answer in time")
    question = script(
        "ctl.sh",
        "reached.sh",
        bin_dir=f"{client.sight.cluster.settings.etcd_prefix}/{client.tool_version}",
        ca=bundle.ca,
        cert=bundle.certificate,
        key=bundle.key,
        endpoints=client.endpoints,
    )
    for line in ask(client.run, host.name, question):
        word, _, rest = line.partition(" ")
        endpoint, _, said = rest.partition(" ")
        if word == "reached":
            missing.pop(endpoint, None)
        elif endpoint in missing:
            missing[endpoint] = said
    if missing:
        told = "; ".join(f"{endpoint}: {why}" for endpoint, why in missing.items())
        yield failing(
            f"found endpoints that {bundle.common_name} does not reach with {bundle.certificate} ({told}), wanted all; "
            "next: open the port from this host, or look at the members with deploys/status.py"
        )
        return
    host.noop(f"{bundle.common_name} reaches {len(client.endpoints)} endpoints")

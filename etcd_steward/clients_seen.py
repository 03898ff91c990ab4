"""The clients of the inventory as a rotation sees them: what lies on their hosts, and which phase would cut them off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gevent

from etcd_steward import flannel_host, k3s_look
from etcd_steward.certificates import chained, lists
from etcd_steward.clients import Bundle, wanted_bundle
from etcd_steward.clusters import clients_of
from etcd_steward.control_planes import BUNDLE
from etcd_steward.credentials import self_made
from etcd_steward.errors import Complaint
from etcd_steward.parsing import whole_line
from etcd_steward.shell import script
from etcd_steward.talk import seek
from etcd_steward.topology import member_name

if TYPE_CHECKING:
    from etcd_steward.authority import Authorities
    from etcd_steward.rotation import Phase
    from etcd_steward.run import ClusterRun
    from etcd_steward.settings import Settings
    from etcd_steward.topology import Cluster

__all__ = ["ClientFiles", "look_at_clients", "not_ready_yet"]


@dataclass(frozen=True)
class ClientFiles:
    """One bundle of one client as it lies on its host.

    Args:
        host: the inventory's name of the host.
        verb: the script in `deploys/` that gives it the bundle.
        bundle: the files that it has by its settings.
        ca: PEM of the authorities that it trusts; empty where there is none.
        certificate: PEM of what it shows; empty where there is none.
        problem: why nothing is known of it; empty where it answered.
    """

    host: str
    verb: str
    bundle: Bundle
    ca: str = ""
    certificate: str = ""
    problem: str = ""


def look_at_clients(run: ClusterRun) -> list[ClientFiles]:
    """Look at the clients that the inventory knows of, side by side.

    Args:
        run: the run of their cluster.

    Returns:
        Their bundles, in the inventory's order.
    """
    jobs = [gevent.spawn(_look, run, name, own) for name, own in clients_of(run.state, run.name).items()]
    gevent.joinall(jobs)
    return [one for job in jobs for one in job.get()]


def _look(run: ClusterRun, name: str, settings: Settings) -> list[ClientFiles]:
    bundles = [one for one in _bundles(run, name, settings) if not _members_own(run, name, one[1])]
    if not bundles:
        return []
    files = [path for _, one in bundles for path in (one.ca, one.certificate)]
    lines, problem = seek(run, name, script("certificates.sh", "client-look.sh", files=files), list)
    if lines is None:
        return _unseen(name, bundles, problem)
    if lines[-1:] != ["end"]:
        return _unseen(name, bundles, "it did not answer")
    pems: dict[str, str] = {}
    for line in lines[:-1]:
        path, _, text = line.removeprefix("pem ").partition(" ")
        pems[path] = pems.get(path, "") + f"{whole_line(text)}\n"
    found = [
        ClientFiles(name, verb, one, pems.get(one.ca, ""), pems.get(one.certificate, ""))
        for verb, one in bundles
    ]
    # A host that uses one of its bundles needs no other; one without any is not known to be ready.
    return [one for one in found if one.ca or one.certificate] or found[:1]


def _unseen(name: str, bundles: Sequence[tuple[str, Bundle]], problem: str) -> list[ClientFiles]:
    return [ClientFiles(name, *bundles[0], problem=problem)]


def _bundles(run: ClusterRun, name: str, settings: Settings) -> list[tuple[str, Bundle]]:
    def among(group: str) -> bool:
        return name in {one.name for one in run.state.inventory.groups.get(group, ())}

    bundles = [("clients.py", wanted_bundle(name, settings))]
    if settings.etcd_flannel_network is not None:
        bundles.insert(0, ("flannel.py", flannel_host.bundle_of(settings)))
    if among(settings.etcd_kubernetes_group):
        bundles.insert(0, ("kubernetes.py", BUNDLE))
    if among(settings.etcd_k3s_group):
        bundles.insert(0, ("k3s.py", k3s_look.bundle_of(settings)))
    return bundles


def _members_own(run: ClusterRun, name: str, found: Bundle) -> bool:
    """Tell whether a client on a member's host uses the member's own files, which come along with every phase."""
    if name not in run.settings:
        return False
    own = run.settings[name]
    paths = [own.certificate_path(kind, member_name(name, own)) for kind in ("ca", "client")]
    return [found.ca, found.certificate] == paths


def not_ready_yet(
    cluster: Cluster, phase: Phase, clients: Sequence[ClientFiles], coming: Authorities | None
) -> list[Complaint]:
    """Say which clients of the inventory a phase would cut off.

    Args:
        cluster: their cluster.
        phase: the phase.
        clients: what lies on their hosts.
        coming: the next authorities; None where they have not been made yet.

    Returns:
        The complaints.
    """
    if phase == "trust both":
        return []
    away = [one for one in clients if one.problem]
    here = [one for one in clients if not one.problem]
    lacking = [(one, one.bundle.ca) for one in here if not _trusts(one, coming)]
    showing = [(one, one.bundle.certificate) for one in here if not _shows(one, coming)]
    found = lacking if phase == "reissue" else lacking + showing
    complaints = []
    if found:
        told = ", ".join(f"{one.host}: {path}" for one, path in found)
        what = "do not trust" if phase == "reissue" else "do not trust, or show no certificate of,"
        verbs = " and ".join(dict.fromkeys(f"deploys/{one.verb}" for one, _ in found))
        cure = "bring these files yourself" if self_made(cluster.settings) else f"run {verbs}"
        complaints.append(
            Complaint(
                cluster.name,
                f"clients of the inventory that {what} the next authority ({told})",
                f"all of them ready for `{phase}`",
                f"{cure}, now that the members trust both, then run again",
            )
        )
    # Whoever was away before the members showed new certificates may have come to trust both since.
    if away and phase == "trust the new one":
        told = ", ".join(f"{one.host}: {one.problem}" for one in away)
        complaints.append(
            Complaint(
                cluster.name,
                f"clients of the inventory out of reach ({told})",
                "all of them seen with certificates of the next authority",
                "bring them back and look at them with the same command, or take them out of the inventory",
            )
        )
    return complaints


def _trusts(client: ClientFiles, coming: Authorities | None) -> bool:
    return coming is not None and lists(client.ca, coming.client)


def _shows(client: ClientFiles, coming: Authorities | None) -> bool:
    return coming is not None and chained(client.certificate, [coming.client])

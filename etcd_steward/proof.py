"""The proof by handshake that a member shows the certificates that lie on its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_steward.failing import fail
from etcd_steward.talk import ask, ctl, why_unreached

if TYPE_CHECKING:
    from pyinfra.api import Host, State

    from etcd_steward.converge import Converge
    from etcd_steward.run import ClusterRun
    from etcd_steward.topology import Member

__all__ = ["not_shown", "shows_new"]


def not_shown(run: ClusterRun, member: Member) -> dict[str, str]:
    """Greet both ports of a member from its own host, believing nothing but the very certificates in its files.

    Args:
        run: the run.
        member: whose ports.

    Returns:
        For each file whose certificate was not shown, which port was greeted and what it said.
    """
    path = {
        kind: member.settings.certificate_path(kind, member.name) for kind in ("server", "peer", "peer_key")
    }
    missing = {member.loopback_url: "no answer", member.peer_url: "no answer"}
    question = ctl(member, "shown.sh", endpoint=member.loopback_url, peer_endpoint=member.peer_url, **path)
    for line in ask(run, member.host, question):
        word, _, rest = line.partition(" ")
        url, _, said = rest.partition(" ")
        if word == "shown" and url in missing:
            missing[url] = why_unreached(said)
    files = {member.loopback_url: path["server"], member.peer_url: path["peer"]}
    return {files[url]: f"{url}: {why}" for url, why in missing.items() if why}


def shows_new(state: State, host: Host, run: Converge, member: Member) -> bool:
    """Fail unless a member shows its new certificates.

    Args:
        state: pyinfra's state.
        host: the host that fails otherwise.
        run: the run of its cluster.
        member: the member.

    Returns:
        Whether it does.
    """
    missing = not_shown(run.cluster_run, member)
    if not missing:
        return True
    return fail(
        state,
        host,
        f"found {member.name} showing another certificate than {' and '.join(missing)} ({'; '.join(missing.values())}), "
        "wanted the new one shown to every new connection; next: its etcd was started with other files than the "
        "settings say: run deploys/etcd.py; no other member was touched after it",
    )

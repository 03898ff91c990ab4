"""Consent and orders for one run: none that was given is passed over, it is used by the plan or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from etcd_steward.credentials import pki_folder
from etcd_steward.decisions import JOINING
from etcd_steward.errors import Complaint
from etcd_steward.refused import first

if TYPE_CHECKING:
    from etcd_steward.job import Job
    from etcd_steward.observed import HostState
    from etcd_steward.run import Sight

__all__ = ["READERS", "unbroken", "unforgotten", "unread", "unused"]

_MAKING = ("etcd", "static_pods")
_MAINTAIN = ("maintain",)

# What only some verbs read -> those verbs. A new key of this kind belongs here, and its use into `unused` or its own verb.
READERS: Mapping[str, tuple[str, ...]] = {
    "etcd_replace": _MAKING,
    "etcd_move_aside": _MAKING,
    "etcd_forget_cluster": (*_MAKING, "restore", "drill"),
    "etcd_allow_outage": (*_MAKING, "upgrade", "renew", "rotate_ca", "remove", "maintain"),
    "etcd_rollback": ("upgrade",),
    "etcd_upgrade_snapshot": ("upgrade",),
    "etcd_snapshot": ("restore", "drill"),
    "etcd_restore_without": ("restore",),
    "etcd_restore_over": ("restore",),
    "etcd_restore_bump": ("restore",),
    "etcd_renew_all": ("renew",),
    "etcd_clients_ready": ("rotate_ca",),
    "etcd_ca_lost": ("rotate_ca",),
    "etcd_member": ("remove",),
    "etcd_reset": ("reset",),
    "etcd_compact": _MAINTAIN,
    "etcd_compact_keep": _MAINTAIN,
    "etcd_maintain_quota_fraction": _MAINTAIN,
    "etcd_maintain_fragmentation": _MAINTAIN,
    "etcd_flannel_overwrite": ("flannel",),
    "etcd_kubernetes_init": ("kubernetes",),
}


def unread(given: Iterable[str], verbs: Iterable[str]) -> list[Complaint]:
    """Complain of what `--data` gives to verbs that do not read it.

    Args:
        given: the names of what it gives.
        verbs: the verbs of the command line, by their deploy files.

    Returns:
        The complaints; none where one of several verbs reads it, or where no verb is known.
    """
    names = {PurePosixPath(verb).stem for verb in verbs}
    return [
        Complaint(
            "the command line",
            f"{key} with {' and '.join(f'deploys/{name}.py' for name in sorted(names))}",
            f"it with {' or '.join(f'deploys/{name}.py' for name in READERS[key])}, which reads it",
            f"take it out, or run deploys/{READERS[key][0]}.py",
        )
        for key in given
        if names and key in READERS and not names & set(READERS[key])
    ]


def unused(job: Job) -> list[Complaint]:
    """Complain of members that `etcd_replace` or `etcd_move_aside` names, and to which the plan does nothing of the kind.

    Args:
        job: what a run of `deploys/etcd.py` or `deploys/static_pods.py` would do.

    Returns:
        The complaints.
    """
    settings, members = job.sight.cluster.settings, job.sight.cluster.members
    named = {
        "etcd_replace": [settings.etcd_replace] if settings.etcd_replace else [],
        "etcd_move_aside": list(settings.etcd_move_aside),
    }
    complaints = unforgotten(job.sight)
    for key, names in named.items():
        for name in names:
            member = next((one for one in members if one.name == name), None)
            if member is None:
                known = ", ".join(one.name for one in members)
                complaints.append(
                    Complaint(
                        job.sight.cluster.name,
                        f"{key} with {name}",
                        f"one of the members {known}",
                        f"correct {key}",
                    )
                )
                continue
            decision = job.plan.decisions[member.host]
            # Where a run was cut, the next one goes on with what is begun; a refusal of the host says what is in the way.
            if decision.action in {*JOINING, "bootstrap", "refuse"}:
                continue
            found, wanted, cure = _why_not(key, name, job, job.sight.hosts[member.host])
            complaints.append(Complaint(member.host, f"{key} for {found}", wanted, cure))
    return complaints


def unforgotten(sight: Sight) -> list[Complaint]:
    """Complain of a cluster that `etcd_forget_cluster` names, and of which there is no trace.

    Args:
        sight: what was seen.

    Returns:
        The complaints; none where a run that was cut has put the controller's record of it aside already.
    """
    settings = sight.cluster.settings
    forget = settings.etcd_forget_cluster
    traces = {record.id: place for place, record in sight.records.items()}
    traces |= {str((state.record or {}).get("id", "")): host for host, state in sight.hosts.items()}
    aside = pki_folder(settings).glob(f"cluster.{forget}*.json")
    # An open record is that of a run that was cut: the same command finishes it.
    if forget is None or forget in traces or any(one.open for one in sight.records.values()) or any(aside):
        return []
    known = ", ".join(sorted(filter(None, traces))) or "none is known"
    return [
        Complaint(
            sight.cluster.name,
            f"etcd_forget_cluster with {forget}, of which there is no record",
            f"the id of a cluster that is remembered ({known})",
            "correct etcd_forget_cluster, or take it out",
        )
    ]


def unbroken(sight: Sight) -> list[Complaint]:
    """Complain of `etcd_break_lock` where nobody holds a lock.

    Args:
        sight: what was seen at first, before this run took one.

    Returns:
        The complaints; none where some host could not be asked.
    """
    states = sight.hosts.values()
    if not sight.cluster.settings.etcd_break_lock or any(state.lock or not state.reached for state in states):
        return []
    return [
        Complaint(
            sight.cluster.name,
            "etcd_break_lock, and no lock on any host",
            "a lock of a run that is surely dead",
            "take etcd_break_lock out, so that it does not break the lock of somebody who is at work by then",
        )
    ]


def _why_not(key: str, name: str, job: Job, state: HostState) -> tuple[str, str, str]:
    wanted = "a member that is lost or does not start" if key == "etcd_replace" else "data of another life"
    if job.sight.seen is None:
        return (
            f"{name}, while no quorum answers",
            "a quorum, which takes the old member out and the new one in",
            f"take {key} out and run deploys/etcd.py, which starts the members; else see docs/restore.md",
        )
    if state.endpoint.healthy:
        return f"{name}, which is healthy and has its data", wanted, f"take {key} out"
    if not state.reached:
        return f"{name}, whose host gives no answer", wanted, first(state.mend)
    return (
        f"{name}, which is down and has the data of a present member",
        wanted,
        f"run with --data etcd_replace={name}, which moves its data aside and lets it join anew",
    )

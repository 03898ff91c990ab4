"""Finds the cluster that a host belongs to, or that it is a client of, after reading all settings of the inventory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from gevent.lock import RLock
from pyinfra.api import Host, State
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS

from etcd_steward import cli_mode
from etcd_steward.consents import unread
from etcd_steward.errors import Complaint
from etcd_steward.interrupts import end_tidily
from etcd_steward.rollout import Failures, Rollout
from etcd_steward.run import ClusterRun, refuse
from etcd_steward.settings import Settings, read_settings
from etcd_steward.topology import member_name, select_clusters, unfit_names
from etcd_steward.waits import watch

__all__ = ["clients_of", "cluster_of_client", "cluster_run"]

_PRIVILEGES = tuple(
    key
    for key in CONNECTOR_ARGUMENT_KEYS
    if key.startswith(("_sudo", "_doas", "_su_", "_use_su", "_preserve", "_dzdo"))
)


@dataclass
class _Known:
    settings: Mapping[str, Settings]
    runs: Mapping[str, ClusterRun]


_runs: WeakKeyDictionary[State, _Known] = WeakKeyDictionary()
_guard = RLock()


def cluster_run(host: Host) -> ClusterRun | None:
    """Find the run of a host's cluster, reading all settings first.

    Args:
        host: the host that pyinfra is working on.

    Returns:
        The run, or None where the host is no member of any cluster.

    Raises:
        DeployError: some settings are wrong; nothing was asked of any host.
    """
    with _guard:
        return _with_privileges(
            next((run for run in _known(host.state).runs.values() if host.name in run.hosts), None), host
        )


def cluster_of_client(host: Host) -> tuple[Settings, ClusterRun] | None:
    """Find the settings of a client host and the run of the cluster that it is a client of, reading all settings first.

    Args:
        host: the host that pyinfra is working on.

    Returns:
        Both, or None where the host is nobody's client.

    Raises:
        DeployError: some settings are wrong, or there is no such cluster; nothing was asked of any host.
    """
    with _guard:
        known = _known(host.state)
        refuse(
            [
                Complaint(
                    name,
                    f"etcd_client_of = {own.etcd_client_of!r}",
                    f"a cluster of the inventory ({', '.join(known.runs)})",
                    "correct etcd_client_of, or add the members of that cluster to the inventory",
                )
                for name, own in known.settings.items()
                if own.etcd_client_of is not None and own.etcd_client_of not in known.runs
            ]
        )
        own = known.settings.get(host.name)
        if own is None or own.etcd_client_of is None:
            return None
        run = known.runs[own.etcd_client_of]
        _with_privileges(run, host)
        return own, run


def clients_of(state: State, cluster: str) -> dict[str, Settings]:
    """Find the hosts that are clients of a cluster.

    Args:
        state: pyinfra's state.
        cluster: the cluster's name.

    Returns:
        Their settings by the inventory's name, in its order.
    """
    with _guard:
        return {name: own for name, own in _known(state).settings.items() if own.etcd_client_of == cluster}


# On a terminal everything is echoed that goes over standard input, keys of certificates too.
_NO_TERMINAL = (
    "_get_pty, with which a host prints what it is given",
    "commands without a terminal",
    "take it out of the inventory; where sudo wants a terminal, set `Defaults:LOGIN !requiretty` on the host",
)


def _known(state: State) -> _Known:
    if state not in _runs:
        _runs[state] = _read_all(state)
    return _runs[state]


def _with_privileges(run: ClusterRun | None, host: Host) -> ClusterRun | None:
    if run is not None:
        run.memory.setdefault("privileges", _explicit_privileges(host))
    return run


def _read_all(state: State) -> _Known:
    # Verbs say themselves which host gave no answer. Python prints what a library logs where nobody asked for it, and
    # paramiko logs the traceback of a connection that pyinfra closes while it waits for a host that hangs.
    paramiko = logging.getLogger("paramiko")
    if not paramiko.handlers:
        paramiko.addHandler(logging.NullHandler())
    watch(state)
    end_tidily(state)
    settings: dict[str, Settings] = {}
    complaints: list[Complaint] = unread(state.inventory.get_override_data(), cli_mode.verbs())
    for host in state.inventory:
        own, wrong = read_settings(host.name, dict(host.data.dict()))
        complaints += wrong
        if own is not None and host.data.dict().get("_get_pty"):
            complaints.append(Complaint(host.name, *_NO_TERMINAL))
        if own is not None:
            settings[host.name] = own
    groups = {name: [host.name for host in hosts] for name, hosts in state.inventory.groups.items()}
    chosen, wrong = select_clusters(settings, groups)
    # Before any host is asked anything: these names are in paths, in configurations and in certificates.
    named = {host: member_name(host, settings[host]) for hosts in chosen.values() for host in hosts}
    clients = {
        host: own.etcd_client_name or host.rpartition("/")[2]
        for host, own in settings.items()
        if own.etcd_client_of is not None
    }
    complaints += unfit_names(named) + [
        replace(one, next=one.next.replace("etcd_name", "etcd_client_name")) for one in unfit_names(clients)
    ]
    # A host whose settings could not be read may be a member: counting without it would only add noise.
    refuse(complaints or wrong)
    failures = Failures()
    state.add_callback_handler(failures)
    runs = {
        name: ClusterRun(
            state=state,
            name=name,
            settings={host: settings[host] for host in hosts},
            hosts={host: state.inventory.get_host(host) for host in hosts},
            failures=failures,
            rollout=Rollout(failures),
        )
        for name, hosts in chosen.items()
    }
    return _Known(settings, runs)


def _explicit_privileges(host: Host) -> dict[str, Any]:
    passed: Mapping[str, Any] = host.current_deploy_kwargs or {}
    return {key: passed[key] for key in _PRIVILEGES if passed.get(key)}

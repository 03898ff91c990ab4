"""The example inventories, read as pyinfra reads them, and moved onto hosts that are there."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etcd_steward.addresses import is_ip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.targets.hosts import Host

REPO = Path(__file__).resolve().parents[2]
INVENTORIES = ("pi", "centos", "ubuntu", "k3s", "kubernetes", "static_pods", "flannel")


@cache
def _debug_inventory(name: str) -> str:
    command = [sys.executable, "-m", "pyinfra", f"inventories/{name}.py", "debug-inventory", "--json"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(name: str) -> dict[str, dict[str, Any]]:
    """Read an inventory with its group data, connecting to nothing.

    Args:
        name: the file's name without `.py`.

    Returns:
        For each host, in order, all its data; the host's own and the groups' are merged.
    """
    return {host["name"]: host["data"] for host in json.loads(_debug_inventory(name))}


def groups(name: str) -> dict[str, list[str]]:
    """Tell the inventory's groups and their hosts."""
    found: dict[str, list[str]] = {}
    for host in json.loads(_debug_inventory(name)):
        for group in dict.fromkeys(host["groups"]):
            found.setdefault(group, []).append(host["name"])
    return found


def moved(name: str, hosts: Sequence[Host]) -> dict[str, dict[str, Any]]:
    """Give the inventory's settings to other hosts, one for one, as `Site.own` wants them.

    Addresses become the hosts' own; DNS names stay, and every host is told them in /etc/hosts. Member names stay.
    The time server becomes the first host, as nothing outside may be asked; the version is left to the caller.

    Args:
        name: the file's name without `.py`.
        hosts: as many as the inventory has.

    Returns:
        For each of the hosts, by name, its `etcd_` settings.
    """
    members = read(name)
    swapped: dict[str, str] = {}
    lines = []
    for data, host in zip(members.values(), hosts, strict=True):
        address = data["etcd_address"]
        if is_ip(address):
            swapped[address] = host.address
        else:
            lines.append(f"{host.address} {address}\n")
        if "etcd_listen_address" in data:
            swapped[data["etcd_listen_address"]] = host.address
    for host in hosts:
        known = host.read("/etc/hosts")
        host.run("cat >>/etc/hosts", input="".join(line for line in lines if line not in known))
    own = {}
    for (member, data), host in zip(members.items(), hosts, strict=True):
        settings = {key: _swap(value, swapped) for key, value in data.items() if key.startswith("etcd_")}
        settings["etcd_name"] = data.get("etcd_name", member)
        if settings.get("etcd_time_servers"):
            settings["etcd_time_servers"] = [hosts[0].address]
        settings.pop("etcd_version", None)
        own[host.name] = settings
    return own


def _swap(value: Any, swapped: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_swap(one, swapped) for one in value]
    return swapped.get(value, value) if isinstance(value, str) else value

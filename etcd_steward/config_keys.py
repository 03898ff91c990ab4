"""The keys of etcd's configuration file, release by release, and the form that each value takes."""

from __future__ import annotations

import difflib
import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from etcd_steward import versions
from etcd_steward.errors import shown
from etcd_steward.versions import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RESERVED", "gates", "kind", "known", "problem", "written"]

# Keys that etcd-steward decides itself -> what to do instead of setting them in etcd_config.
RESERVED = {
    "name": "set etcd_name",
    "data-dir": "set etcd_data_dir",
    "wal-dir": "set etcd_wal_dir",
    "listen-peer-urls": "set etcd_listen_address and etcd_peer_port",
    "listen-client-urls": "set etcd_listen_address and etcd_client_port",
    "initial-advertise-peer-urls": "set etcd_address and etcd_peer_port",
    "advertise-client-urls": "set etcd_address and etcd_client_port",
    "initial-cluster": "the inventory's group of members is the cluster",
    "initial-cluster-state": "the plan decides it from what it finds",
    "initial-cluster-token": "set etcd_cluster_token",
    # Hosts leave lines that begin with `initial-` out of the digest that decides whether a restart is due.
    "initial-election-tick-advance": "leave it out: a change of it would not restart the member",
    "client-transport-security": "set etcd_cert_dir, etcd_cert_files or etcd_certificates_dir",
    "peer-transport-security": "set etcd_cert_dir, etcd_cert_files or etcd_certificates_dir",
    "self-signed-cert-validity": "leave it out: every certificate comes from an authority",
    "force-new-cluster": "restore a snapshot with deploys/restore.py (etcd#20896)",
    "strict-reconfig-check": "leave it out: etcd's default protects the quorum",
    "unsafe-no-fsync": "leave it out: it loses data",
    "enable-v2": "leave it out: the v2 interface is gone in 3.6",
    "experimental-enable-v2v3": "leave it out: the v2 interface is gone in 3.6",
    "v2-deprecation": "leave it out: the v2 interface is gone in 3.6",
    **dict.fromkeys(
        ("discovery", "discovery-config", "discovery-proxy", "discovery-srv", "discovery-srv-name"),
        "the inventory's group of members is the cluster",
    ),
}
# The same for what is no key of the file, but often copied from old examples and command lines.
FLAGS = {
    "auto-tls": RESERVED["self-signed-cert-validity"],
    "peer-auto-tls": RESERVED["self-signed-cert-validity"],
    "ca-file": RESERVED["client-transport-security"],
    "peer-ca-file": RESERVED["peer-transport-security"],
    "proxy": "leave it out: the v2 proxy is gone in 3.6",
}

SMALLEST_QUOTA = 1024**2  # anything less is a number of mega- or gigabytes by mistake

LARGEST = 2**63 - 1  # of Go's numbers and durations

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")


@cache
def _table() -> dict[str, Any]:
    text = resources.files("etcd_steward.data").joinpath("etcd-config-keys.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def known(key: str, version: Version) -> bool:
    """Tell whether a release reads a key; etcd ignores all others silently.

    Args:
        key: a key of the file's top level.
        version: the release that reads the file.

    Returns:
        True if the key has an effect.
    """
    since = _table()["keys"].get(key, {}).get("since", {}).get(version.minor_line)
    return since is not None and version >= versions.parse(since)


def kind(key: str) -> str:
    """Name the type of a key's value, as the table has it.

    Args:
        key: a key that some release knows.
    """
    return str(_table()["keys"][key]["type"])


def problem(key: str, value: object, version: Version) -> str | None:
    """Say what is wrong with one key that a user sets.

    Args:
        key: the key.
        value: its value.
        version: the release that reads the file.

    Returns:
        One sentence, or None if it is right.
    """
    keys = _table()["keys"]
    if key in RESERVED or key in FLAGS:
        return f"{key} is not yours to set ({RESERVED.get(key) or FLAGS[key]})"
    if key not in keys:
        usable = [name for name in keys if known(name, version) and name not in RESERVED]
        near = difflib.get_close_matches(str(key), usable, n=1)
        return f"{key} is no key of etcd's configuration file" + (
            f" (did you mean {near[0]}?)" if near else ""
        )
    if not known(key, version):
        return f"{key} is ignored by etcd {version}: " + _when(keys[key], version)
    # 3.6 refuses to start with both a gate and its old name, and 3.7 drops every experimental name.
    if key.startswith("experimental-") and version >= Version(3, 6, 0):
        return f"{key} has been renamed: {keys[key]['replaced_by']}"
    return _wrong_type(key, value, keys[key]["type"])


def _when(entry: Mapping[str, Any], version: Version) -> str:
    since = [versions.parse(first) for first in entry["since"].values()]
    later = [first for first in since if first > version]
    if version.minor_line in entry["since"] or len(later) == len(since):
        return f"it came with {min(later)}"
    replacement = entry.get("replaced_by")
    return f"removed, now {replacement}" if replacement else "removed"


def _wrong_type(key: str, value: object, kind: str) -> str | None:
    texts = isinstance(value, list) and all(isinstance(item, str) and item.isprintable() for item in value)
    text = isinstance(value, str) and value.isprintable()
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    right, wanted = {
        "string": (text or whole, "one line of text"),
        "bool": (isinstance(value, bool), "true or false"),
        "integer": (whole and (int(str(value)) >= 0 or key == "quota-backend-bytes"), "a whole number"),
        "duration": (_nanoseconds(value) is not None, "a duration such as 5m"),
        "list": (texts, "a list of texts"),
        "comma list": (text or texts, "a text or a list of texts"),
        "gates": (gates(value) is not None, "a map of feature names to true or false"),
        "map": (isinstance(value, dict), "a map"),
    }[kind]
    if key == "quota-backend-bytes" and whole and 0 < int(str(value)) < SMALLEST_QUOTA:
        right, wanted = False, "in bytes"
    return None if right else f"{key} is {shown(value)}, which should be {wanted}"


def written(key: str, value: object) -> object:
    """Put a value into the form that the file wants.

    Args:
        key: a key that some release knows.
        value: what the user wrote, without complaints.

    Returns:
        The value for YAML: durations in nanoseconds, lists of URLs as one text.
    """
    form = kind(key)
    if form == "duration":
        return _nanoseconds(value)  # the file knows durations only as nanoseconds (golang/go#10275)
    if form == "comma list" and isinstance(value, list):
        return ",".join(value)
    if form == "gates":
        return ",".join(
            f"{name}={str(state).lower()}" for name, state in sorted((gates(value) or {}).items())
        )
    return str(value) if form == "string" else value


def _nanoseconds(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value <= LARGEST else None
    if not isinstance(value, str) or not re.fullmatch(f"(?:{DURATION.pattern})+", value):
        return None
    total = sum(float(number) * NANOSECONDS[unit] for number, unit in DURATION.findall(value))
    return round(total) if total < LARGEST else None


def gates(value: object) -> dict[str, bool] | None:
    """Read feature gates, which the command line writes as "Name=true,Other=false".

    Args:
        value: such a text, or a map of names to true or false.

    Returns:
        The map, or None if the value is neither.
    """
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair]
        states = {"true": True, "false": False}
        if any(state not in states for _, _, state in pairs):
            return None
        return {name: states[state] for name, _, state in pairs}
    if isinstance(value, dict) and all(isinstance(state, bool) for state in value.values()):
        return {str(name): state for name, state in value.items()}
    return None

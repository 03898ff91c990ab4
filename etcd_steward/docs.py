"""Writes docs/settings.md: `python -m etcd_steward.docs >docs/settings.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from etcd_steward.settings import HOST_KEYS, Settings
from etcd_steward.settings.flannel import FlannelSettings
from etcd_steward.settings.k3s import K3sSettings
from etcd_steward.settings.kubernetes import KubernetesSettings

__all__ = ["settings_page"]

_TYPES = {
    "Account": "account name",
    "Address": "IP address or DNS name",
    "DataPath": "path on the host",
    "CertifiedName": "IP address, or DNS name that may begin with `*.`",
    "Days": "days, 1 to 36500",
    "Digest": "64 hexadecimal digits",
    "Endpoint": "address and port",
    "FileName": "file name",
    "FlannelRelease": "version as text",
    "HostPath": "path on the host",
    "Image": "image",
    "Interface": "interface or IP address",
    "Ip": "IP address",
    "K3sRelease": "release of k3s",
    "KubernetesRelease": "release of Kubernetes",
    "KeyPrefix": "path of keys",
    "Networks": "network",
    "Line": "text",
    "MemberKey": "name, id or peer URL",
    "Minor": "minor version as text",
    "Mirror": "http or https address",
    "Network4": "IPv4 network",
    "Network6": "IPv6 network",
    "OwnIp": "IP address",
    "Port": "port, 1 to 65535",
    "Quantity": "quantity of Kubernetes",
    "Readiness": '`True`, `False` or `"trust"`',
    "Release": "version as text",
    "Token": "text without spaces",
    "Word": "name",
    "bool": "`True` or `False`",
}

_THEMES: dict[str, tuple[str, ...]] = {
    "Cluster and release": (
        "etcd_cluster",
        "etcd_inventory_group",
        "etcd_version",
        "etcd_force_version",
        "etcd_mirror",
        "etcd_archive_dir",
        "etcd_sha256",
        "etcd_digests",
        "etcd_require_digest",
        "etcd_cache_dir",
    ),
    "Names and addresses": (
        "etcd_name",
        "etcd_address",
        "etcd_interface",
        "etcd_listen_address",
        "etcd_client_port",
        "etcd_peer_port",
    ),
    "Certificates": (
        "etcd_extra_names",
        "etcd_subject",
        "etcd_ca_days",
        "etcd_certificate_days",
        "etcd_renew_days",
        "etcd_pki_dir",
        "etcd_ca_cert",
        "etcd_ca_key",
        "etcd_peer_ca_cert",
        "etcd_peer_ca_key",
        "etcd_certificates_dir",
        "etcd_cert_dir",
        "etcd_cert_files",
    ),
    "Account, folders and service": (
        "etcd_user",
        "etcd_group",
        "etcd_uid",
        "etcd_gid",
        "etcd_data_dir",
        "etcd_wal_dir",
        "etcd_config_dir",
        "etcd_config_file",
        "etcd_prefix",
        "etcd_bin_dir",
        "etcd_service",
        "etcd_profile",
        "etcd_config",
    ),
    "Clients": (
        "etcd_client_of",
        "etcd_client_name",
        "etcd_client_dir",
        "etcd_client_files",
        "etcd_client_owner",
        "etcd_client_group",
        "etcd_client_key_mode",
    ),
    "k3s": tuple(K3sSettings.model_fields),
    "Static pods": (
        "etcd_runtime",
        "etcd_image",
        "etcd_manifest_dir",
        "etcd_node_name",
        "etcd_pod_requests",
        "etcd_pod_limits",
        "etcd_container_runtime",
        "etcd_kubernetes_version",
        "etcd_node_packages",
        "etcd_kubelet_version",
        "etcd_kubelet_mirror",
        "etcd_kubelet_sha256",
        "etcd_crio_version",
        "etcd_crio_mirror",
        "etcd_crio_sha256",
        "etcd_pause_image",
        "etcd_fail_cgroup_v1",
    ),
    "kubernetes": tuple(KubernetesSettings.model_fields),
    "Time": (
        "etcd_time_sync",
        "etcd_time_servers",
        "etcd_timezone",
        "etcd_time_step",
        "etcd_max_skew",
    ),
    "flannel": tuple(FlannelSettings.model_fields),
}

_HEAD = """\
# Settings

<!-- Made by `python -m etcd_steward.docs >docs/settings.md`; a test compares the two. -->

All settings are inventory data of pyinfra whose key begins with `etcd_`: write them beside a host, in `group_data/`,
or on the command line (`--data etcd_timeout=180`). A key that does not exist, a value of the wrong kind, or members
that disagree on a key of the cluster stop the run before any host is asked anything; the message names the host, the
key, the value and what is accepted. Keys that do not begin with `etcd_` are passed over.

Only one setting has to be there: an address of each member, as `etcd_address`, as `etcd_interface`, or as an IP
address in `ssh_hostname`.

## Which hosts are members

The hosts of the inventory group that `etcd_inventory_group` names (`etcd`, unless set). In a pyinfra inventory a group
is a list: `etcd = [...]`. Other hosts may stand in the same inventory; nothing happens to them,
unless they are clients (`etcd_client_of`, see [clients.md](clients.md)).

Two clusters share an inventory when their groups set different values of both keys:

```python
# inventories/two.py
etcd_a = (["a1", "a2", "a3"], {"etcd_inventory_group": "etcd_a", "etcd_cluster": "a"})
etcd_b = (["b1", "b2", "b3"], {"etcd_inventory_group": "etcd_b", "etcd_cluster": "b"})
```

`etcd_cluster` names the folder of the authorities on the controller and the record on the hosts, so no two clusters
of a controller may share it. A host belongs to one cluster.

## Which verb reads what

Every verb reads all settings, as they say what is wanted. These only matter to some:

- `deploys/etcd.py`: `etcd_forget_cluster`, `etcd_allow_even`, `etcd_min_free_mb`, `etcd_force_version`, and what is
  used up when a cluster is made: `etcd_uid`, `etcd_gid`, `etcd_ca_days`. It installs `etcd_version` on new clusters
  only; a running one keeps its release.
- `deploys/etcd.py`, `deploys/upgrade.py`, `deploys/renew.py`: `etcd_allow_outage`, `etcd_timeout`.
- `deploys/upgrade.py`: `etcd_version` is where it goes; `etcd_rollback`, `etcd_upgrade_snapshot`.
- `deploys/renew.py`: `etcd_renew_days`, `etcd_renew_all`.
- `deploys/remove.py`: `etcd_member`, `etcd_allow_outage`.
- `deploys/reset.py`: `etcd_reset`.
- `deploys/maintain.py`: `etcd_compact`, `etcd_compact_keep`, `etcd_maintain_quota_fraction`,
  `etcd_maintain_fragmentation`, `etcd_force_version`.
- `deploys/clients.py`: the keys under "Clients".
- `deploys/flannel.py`: `etcd_client_of`, `etcd_timeout`, and the keys under "flannel".
- `deploys/k3s.py`: `etcd_client_of`, and the keys under "k3s".
- `deploys/kubernetes.py`: `etcd_client_of`, and the keys under "kubernetes".
- `deploys/status.py`: `etcd_output`.

## Keys

"Per host" means that members of one cluster may differ; keys "per cluster" must be the same on all its members.
"""


def settings_page() -> str:
    """Write the page from the settings themselves.

    Returns:
        Markdown.
    """
    themed = {key for keys in _THEMES.values() for key in keys}
    rest = tuple(key for key in Settings.model_fields if key not in themed)
    return _HEAD + "".join("".join(_theme(title, keys)) for title, keys in {**_THEMES, "Runs": rest}.items())


def _theme(title: str, keys: tuple[str, ...]) -> Iterator[str]:
    yield f"\n### {title}\n\n"
    yield "| Key | Meaning | Type | Default | Example | Per |\n|---|---|---|---|---|---|\n"
    for key in keys:
        field = Settings.model_fields[key]
        example = _code(field.examples[0]) if field.examples else ""
        per = "host" if key in HOST_KEYS else "cluster"
        cells = (f"`{key}`", field.description or "", _type(key), _code(field.default), example, per)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def _code(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return f"`{text}`"


def _type(key: str) -> str:
    room = next(one for one in Settings.__mro__ if key in one.__annotations__)
    alias = str(room.__annotations__[key]).removesuffix(" | None")
    if alias in _TYPES:
        return _TYPES[alias]
    if alias.startswith("list["):
        return f"list: {_TYPES[alias[5:-1]]}"
    schema = _schemas()[key]
    schemas = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return ", or ".join(_schema(one) for one in schemas)


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    return properties


def _schema(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f'`"{value}"`' for value in schema["enum"])
    kind = schema["type"]
    if kind in {"integer", "number"}:
        least = schema.get("minimum", schema.get("exclusiveMinimum"))
        most = schema.get("maximum")
        number = "whole number" if kind == "integer" else "number"
        bounds = f"{least} to {most}" if most is not None else f"from {least}"
        return f"{number}, {bounds}"
    if kind == "object":
        keys = schema.get("propertyNames", {}).get("enum")
        return f"dictionary with {', '.join(f'`{name}`' for name in keys)}" if keys else "dictionary"
    return "text"


if __name__ == "__main__":
    sys.stdout.write(settings_page())

"""Which cluster and release it is, and by which names its members are reached."""

from __future__ import annotations

from typing import Literal

from etcd_steward import versions
from etcd_steward.settings.key import Keys, key
from etcd_steward.values import Address, EtcdDigests, Ip, Line, Mirror, Port, Release, Word

__all__ = ["ClusterSettings"]


class ClusterSettings(Keys):
    """Which cluster and release it is, and by which names its members are reached."""

    etcd_cluster: Word = key(
        "etcd", "Name of the cluster; names its certificate folder and its record.", "pi"
    )
    etcd_inventory_group: Word = key("etcd", "Inventory group whose hosts are the members.", "etcd_pi")
    etcd_version: Release = key(
        str(versions.DEFAULT),
        "Release to install; a running cluster only changes it by upgrade.",
        "3.5.30",
    )
    etcd_force_version: bool = key(False, "Install a release that is known to be harmful all the same.", True)
    etcd_name: Word | None = key(None, "Member name; otherwise the inventory's name of the host.", "etcd01")
    etcd_address: Address | None = key(
        None,
        "IP address or DNS name by which clients and peers reach the member.",
        "192.168.7.11",
        "fd00::11",
    )
    etcd_interface: Word | None = key(
        None, "Network interface whose address is the member's, or is listened on.", "eth0"
    )
    etcd_listen_address: Ip | None = key(
        None,
        "IP address to bind; otherwise etcd_address, or every address where that is a name.",
        "192.168.7.11",
    )
    etcd_client_port: Port = key(2379, "Port for clients.", 2379)
    etcd_peer_port: Port = key(2380, "Port for the other members.", 2380)
    etcd_mirror: Mirror | None = key(
        None, "Where releases come from, in GitHub's layout.", "https://mirror.example.org/etcd"
    )
    etcd_archive_dir: Line | None = key(
        None, "Folder on the controller with release archives, instead of a mirror.", "archives"
    )
    etcd_sha256: EtcdDigests | None = key(
        None,
        "SHA-256 of etcd_version's archive, or one for each architecture; or such values by release.",
        {"amd64": "0" * 64},
        {"3.5.34": {"amd64": "0" * 64}, "3.6.16": {"amd64": "1" * 64}},
    )
    etcd_digests: Literal["pinned", "mirror"] = key(
        "pinned",
        "Believe the digests of this package first, or the mirror's own.",
        "mirror",
    )
    etcd_require_digest: bool = key(
        False,
        "Refuse every download whose digest neither this package nor a setting gives, instead of believing the list beside it.",
        True,
    )
    etcd_cache_dir: Line = key(
        "~/.cache/etcd-steward", "Folder on the controller for verified archives.", "/var/cache/etcd"
    )

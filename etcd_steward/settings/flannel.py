"""flannel: the network that it spans over the hosts that are clients of a cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from etcd_steward.settings.key import Keys, key
from etcd_steward.values import (
    Digests,
    FlannelRelease,
    HostPath,
    Interface,
    Ip,
    KeyPrefix,
    Line,
    Mirror,
    Network4,
    Network6,
    Port,
    Word,
)

__all__ = ["NETWORK_KEYS", "FlannelSettings"]

# What all hosts of one network must agree on: it is one value in etcd.
NETWORK_KEYS = (
    "etcd_flannel_network",
    "etcd_flannel_subnet_len",
    "etcd_flannel_subnet_min",
    "etcd_flannel_subnet_max",
    "etcd_flannel_ipv6_network",
    "etcd_flannel_ipv6_subnet_len",
    "etcd_flannel_vni",
    "etcd_flannel_port",
    "etcd_flannel_mtu",
    "etcd_flannel_direct_routing",
    "etcd_flannel_nftables",
    "etcd_flannel_prefix",
    "etcd_flannel_overwrite",
)


class FlannelSettings(Keys):
    """flannel: the network that it spans over the hosts that are clients of a cluster."""

    etcd_flannel_network: Network4 | None = key(
        None, "Network of all flannel addresses; without it there is no flannel.", "172.30.0.0/16"
    )
    etcd_flannel_subnet_len: Annotated[int, Field(ge=2, le=30)] | None = key(
        None, "Length of each host's part of it; otherwise flannel's own choice, mostly 24.", 21
    )
    etcd_flannel_subnet_min: Ip | None = key(
        None, "First part that a host may get; otherwise the second of all.", "172.30.8.0"
    )
    etcd_flannel_subnet_max: Ip | None = key(
        None, "Last part that a host may get; otherwise the last of all.", "172.30.248.0"
    )
    etcd_flannel_ipv6_network: Network6 | None = key(
        None, "IPv6 network beside it; without it flannel has IPv4 alone.", "fd00:30::/48"
    )
    etcd_flannel_ipv6_subnet_len: Annotated[int, Field(ge=2, le=126)] | None = key(
        None, "Length of each host's part of the IPv6 network; otherwise mostly 64.", 64
    )
    etcd_flannel_vni: Annotated[int, Field(ge=1, le=16777215)] | None = key(
        None, "Number of the VXLAN, and of its device flannel.N; otherwise 1.", 4096
    )
    etcd_flannel_port: Port | None = key(None, "UDP port of the VXLAN; otherwise 8472.", 4789)
    etcd_flannel_mtu: Annotated[int, Field(ge=576, le=65535)] | None = key(
        None, "MTU of the interface that carries the VXLAN; otherwise as it is found.", 9000
    )
    etcd_flannel_direct_routing: bool = key(
        False, "Use plain routes between hosts of one network segment, without VXLAN.", True
    )
    etcd_flannel_nftables: bool = key(False, "Let flannel write rules for nftables, not iptables.", True)
    etcd_flannel_prefix: KeyPrefix = key(
        "/coreos.com/network",
        "Where in etcd flannel keeps its configuration and leases.",
        "/kubernetes/network",
    )
    etcd_flannel_overwrite: bool = key(
        False, "Replace another network configuration that is already in etcd, though hosts may use it.", True
    )
    etcd_flannel_version: FlannelRelease = key("0.28.10", "Release of flannel to install.", "0.28.10")
    etcd_flannel_mirror: Mirror | None = key(
        None, "Where releases of flannel come from, in GitHub's layout.", "https://mirror.example.org/flannel"
    )
    etcd_flannel_sha256: Digests | None = key(
        None, "SHA-256 of flannel's archive, or one for each architecture.", {"amd64": "0" * 64}
    )
    etcd_flannel_dir: HostPath = key(
        "/opt/flannel", "Folder in which every release of flannel has one of its own.", "/opt/k8s/flannel"
    )
    etcd_flannel_bin_dir: HostPath = key(
        "/usr/local/bin", "Folder for the links to flanneld and mk-docker-opts.sh.", "/opt/k8s/bin"
    )
    etcd_flannel_cert_dir: HostPath = key(
        "/etc/flanneld/cert", "Folder for ca.pem, flanneld.pem and flanneld-key.pem.", "/etc/flannel/pki"
    )
    etcd_flannel_user: Word = key(
        "flanneld",
        "Common name of flannel's certificate: its user, where etcd's authentication is on.",
        "flannel",
    )
    etcd_flannel_service: Word = key("flanneld", "Name of flannel's service.", "flannel")
    etcd_flannel_iface: Interface | None = key(
        None, "Interface between the hosts, by name or address; otherwise that of the default route.", "eth1"
    )
    etcd_flannel_ip_masq: bool = key(
        True, "Let what leaves the flannel network show the host's own address.", False
    )
    etcd_flannel_modules: list[Word] = key(
        ["br_netfilter", "vxlan"], "Kernel modules that are loaded, now and at boot.", ["vxlan"]
    )
    etcd_flannel_open_port: bool = key(False, "Open the UDP port where firewalld or ufw is active.", True)
    etcd_flannel_glue: Literal["none", "cni", "docker"] = key(
        "none", "What tells the container runtime of the host's part: a CNI list, or docker's options.", "cni"
    )
    etcd_flannel_dockerd: Line | None = key(
        None,
        "With the glue `docker`: how docker is started, with flannel's options behind it; otherwise as its own unit does.",
        "/usr/sbin/dockerd -H fd://",
    )

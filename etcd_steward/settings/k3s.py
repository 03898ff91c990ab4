"""The k3s servers that keep their data in a cluster."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from etcd_steward import k3s
from etcd_steward.settings.key import Keys, key
from etcd_steward.values import Address, Digests, HostPath, Mirror, OwnIp, Word

__all__ = ["K3sSettings"]


def _release(value: str) -> str:
    return k3s.parse_release(value)


def _token(value: str) -> str:
    k3s.check_token(value)
    return value


def _config(value: dict[str, Any]) -> dict[str, Any]:
    k3s.check_config(value)
    return value


K3sRelease = Annotated[str, AfterValidator(_release)]
Token = Annotated[str, AfterValidator(_token)]
K3sConfig = Annotated[dict[str, Any], AfterValidator(_config)]


class K3sSettings(Keys):
    """The k3s servers that keep their data in a cluster; each may differ from host to host."""

    etcd_k3s_group: Word = key(
        "k3s_servers",
        "k3s: inventory group whose hosts are its servers; each names its cluster with etcd_client_of.",
        "k3s_pi",
    )
    etcd_k3s_version: K3sRelease | None = key(None, "k3s: release to install.", "v1.37.1+k3s1")
    etcd_k3s_mirror: Mirror | None = key(
        None, "k3s: where its releases come from, in GitHub's layout.", "https://mirror.example.org/k3s"
    )
    etcd_k3s_sha256: Digests | None = key(
        None, "k3s: SHA-256 of the program, or one for each architecture.", {"arm64": "…"}
    )
    etcd_k3s_token: Token | None = key(
        None,
        "k3s: the secret that its servers share; otherwise it is made once and kept in the cluster's folder of etcd_pki_dir.",
        "a-long-and-random-text",
        repr=False,
    )
    etcd_k3s_tls_san: list[Address] = key(
        [], "k3s: further names and addresses in the certificate of its API server.", ["k3s.example.org"]
    )
    etcd_k3s_node_ip: OwnIp | None = key(
        None,
        "k3s: address of the node; otherwise the member's on the same host, else k3s' own choice.",
        "192.168.7.11",
    )
    etcd_k3s_config: K3sConfig = key(
        {},
        "k3s: every other key of its configuration file, by its own name.",
        {"disable": ["traefik"], "write-kubeconfig-mode": "0600"},
    )
    etcd_k3s_prefix: HostPath = key(
        "/opt/k3s", "k3s: folder in which every release has one of its own.", "/srv/k3s"
    )
    etcd_k3s_bin_dir: HostPath = key(
        "/usr/local/bin", "k3s: folder for the links to k3s, kubectl, crictl and ctr.", "/usr/local/bin"
    )
    etcd_k3s_cert_dir: HostPath = key(
        "/etc/rancher/k3s/etcd",
        "k3s: folder for the authority, certificate and key that it shows etcd.",
        "/etc/rancher/etcd",
    )
    etcd_k3s_cgroups: bool = key(
        True, "k3s: put the cgroups that it needs on a Raspberry Pi's kernel command line.", False
    )
    etcd_k3s_timeout: Annotated[int, Field(ge=5, le=3600)] = key(
        300, "k3s: seconds that the API server of a server has to become ready.", 600
    )

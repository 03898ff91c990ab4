"""What kubeadm reads and refuses where its etcd is ours: the v1beta4 configuration, and the releases of etcd."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etcd_steward import versions
from etcd_steward.addresses import is_address_or_name, is_ip, is_loopback, nobodys
from etcd_steward.binaries import Program
from etcd_steward.versions import Version
from etcd_steward.yaml_text import yaml_text

__all__ = [
    "CA",
    "CERTIFICATE",
    "COMMON_NAME",
    "KEY",
    "TOOLS",
    "ControlPlane",
    "config",
    "judge_etcd",
    "parse_endpoint",
    "parse_release",
    "program",
]

API = "kubeadm.k8s.io/v1beta4"
KUBELET_API = "kubelet.config.k8s.io/v1beta1"

# Where kubeadm's own guide to an external etcd has them, and the name that kubeadm gives such a certificate.
CA = "/etc/kubernetes/pki/etcd/ca.crt"
CERTIFICATE = "/etc/kubernetes/pki/apiserver-etcd-client.crt"
KEY = "/etc/kubernetes/pki/apiserver-etcd-client.key"
COMMON_NAME = "kube-apiserver-etcd-client"

TOOLS = ("kubeadm", "kubectl", "kubelet")
UPSTREAM = "https://dl.k8s.io/release"

# The oldest line with v1beta4, and the newest whose source was read.
OLDEST, NEWEST = (1, 31), (1, 37)

# Lines of Kubernetes -> the oldest etcd that kubeadm takes from elsewhere (kubernetes, cmd/kubeadm/app/constants:
# `MinExternalEtcdVersion` of 1.31.14, 1.36.3 and 1.37.2, and of what lies between; 1.36.3 was seen to refuse 3.5.16 with
# "[ERROR ExternalEtcdVersion]").
MINIMUM_ETCD = {(1, minor): Version(3, 5, 24) for minor in range(OLDEST[1], NEWEST[1] + 1)}


@dataclass(frozen=True)
class ControlPlane:
    """What the configuration of a cluster's first control plane says.

    Args:
        version: the release of Kubernetes, such as v1.37.2.
        endpoint: the address and port by which all reach the API servers.
        etcd: client URL of every member.
        cert_sans: further names in the API server's certificate.
        pod_subnet: the pods' network.
        service_subnet: the services' network; empty for kubeadm's own.
        node_name: name of this node; empty for its host name.
        advertise_address: address of this API server; empty for kubeadm's own choice.
        cri_socket: the container runtime's socket; empty for the one that kubeadm finds.
        more: further fields of ClusterConfiguration.
        fail_cgroup_v1: whether kubelet refuses a node with cgroup v1, as it does of itself since 1.35.
    """

    version: str
    endpoint: str
    etcd: Sequence[str]
    cert_sans: Sequence[str] = ()
    pod_subnet: str = ""
    service_subnet: str = ""
    node_name: str = ""
    advertise_address: str = ""
    cri_socket: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    fail_cgroup_v1: bool = True


def config(plane: ControlPlane) -> str:
    """Write what `kubeadm init --config` reads: an InitConfiguration and a ClusterConfiguration.

    Where cgroup v1 is allowed, a KubeletConfiguration says so to every node, and the check of kubeadm's preflight that
    refuses it is left out; kubeadm asks for both (system-validators 1.12, cgroup_validator_linux.go).

    Args:
        plane: what it says.

    Returns:
        YAML documents.
    """
    first: dict[str, Any] = {"apiVersion": API, "kind": "InitConfiguration"}
    node: dict[str, Any] = {**_given(name=plane.node_name, criSocket=plane.cri_socket)}
    if not plane.fail_cgroup_v1:
        node["ignorePreflightErrors"] = ["SystemVerification"]
    if node:
        first["nodeRegistration"] = node
    if plane.advertise_address:
        first["localAPIEndpoint"] = {"advertiseAddress": plane.advertise_address}
    cluster: dict[str, Any] = {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": plane.version,
        "controlPlaneEndpoint": plane.endpoint,
        "etcd": {
            "external": {
                "endpoints": list(plane.etcd),
                "caFile": CA,
                "certFile": CERTIFICATE,
                "keyFile": KEY,
            }
        },
    }
    if plane.cert_sans:
        cluster["apiServer"] = {"certSANs": list(plane.cert_sans)}
    networking = _given(podSubnet=plane.pod_subnet, serviceSubnet=plane.service_subnet)
    if networking:
        cluster["networking"] = networking
    documents = [first, _merged(cluster, plane.more)]
    if not plane.fail_cgroup_v1:
        documents.append({"apiVersion": KUBELET_API, "kind": "KubeletConfiguration", "failCgroupV1": False})
    head = "# Written by etcd-steward; changes here are overwritten.\n"
    return head + "---\n".join(map(yaml_text, documents))


def _given(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _merged(ours: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in sorted(more.items()):
        known = merged.get(key)
        merged[key] = (
            {**value, **known} if isinstance(known, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def parse_endpoint(value: str) -> str:
    """Read the address by which API servers are reached.

    Args:
        value: an address or a DNS name, with its port or without.

    Returns:
        The same with its port.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:/\s]+)(?::([0-9]{1,5}))?", value)
    bare = found[1].strip("[]") if found else ""
    port = int(found[2] or 6443) if found else 0
    bracketed = bool(found) and value.startswith("[")
    if not is_address_or_name(bare) or bracketed != (is_ip(bare) and ":" in bare) or not 0 < port < 1 << 16:
        raise ValueError("an address or DNS name with its port, such as 10.107.88.9:6443")
    if nobodys(bare) or is_loopback(bare):
        what = nobodys(bare) or "each host itself"
        raise ValueError(f"an address by which all hosts reach the API servers; {bare} is {what}")
    return f"{found[1]}:{port}" if found else ""


def parse_release(value: str) -> str:
    """Read a release of Kubernetes whose kubeadm knows v1beta4.

    Args:
        value: such as 1.36.3.

    Returns:
        The same with a v.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"v?((1)\.([0-9]{1,3})\.[0-9]{1,3})", value)
    if found is None:
        raise ValueError("a release of Kubernetes such as v1.37.2")
    if (1, int(found[3])) < OLDEST:
        raise ValueError("Kubernetes 1.31 or later, whose kubeadm reads v1beta4")
    return f"v{found[1]}"


def release_line(release: str) -> tuple[int, int]:
    """Tell the minor version of a release.

    Args:
        release: such as v1.37.2.

    Returns:
        Such as (1, 36).
    """
    major, minor, _ = release.removeprefix("v").split(".")
    return int(major), int(minor)


def judge_etcd(release: str, etcd: Version) -> tuple[str, str, str] | None:
    """Say why kubeadm would refuse a release of etcd.

    Args:
        release: of Kubernetes.
        etcd: the lowest release that a member runs.

    Returns:
        What was found, what was wanted and what to do next; None where kubeadm takes it. Of lines newer than those whose
        source was read, the newest known minimum is asked.
    """
    minimum = MINIMUM_ETCD.get(release_line(release), MINIMUM_ETCD[NEWEST])
    if etcd >= minimum:
        return None
    better = versions.NEWEST[minimum.minor_line] if etcd < Version(3, 6, 0) else versions.NEWEST["3.6"]
    return (
        f"etcd {etcd}, which kubeadm {release} refuses (ExternalEtcdVersion)",
        f"{minimum} or later",
        f"run deploys/upgrade.py with --data etcd_version={better}",
    )


def program(tool: str, release: str, arch: str, mirror: str | None) -> Program:
    """Say where a tool and its digest are.

    Args:
        tool: one of `TOOLS`.
        release: such as v1.37.2.
        arch: the architecture as Kubernetes' releases name it, which is as etcd's do.
        mirror: the address up to the folder of the release, or None for upstream's.

    Returns:
        The program.
    """
    url = f"{(mirror or UPSTREAM).rstrip('/')}/{release}/bin/linux/{arch}/{tool}"
    return Program(
        name=tool,
        version=release,
        arch=arch,
        url=url,
        sums=f"{url}.sha256",
        settings=("etcd_kubernetes_release", "etcd_kubernetes_mirror", "etcd_kubernetes_sha256"),
        many=True,
    )

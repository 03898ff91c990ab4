"""How members run: as a service of the init system, or as static pods of a kubelet, and what such a host needs."""

from __future__ import annotations

from typing import Literal

from etcd_steward.settings.key import Keys, key
from etcd_steward.values import Digests, HostPath, Image, KubernetesRelease, Minor, Mirror, Quantity, Word

__all__ = ["POD_CERTIFICATE_FILES", "PodSettings"]

# kubeadm's layout below /etc/kubernetes/pki; members have an authority of their own beside its etcd/ca.crt.
POD_CERTIFICATE_FILES = {
    "ca": "etcd/ca.crt",
    "peer_ca": "etcd/peer-ca.crt",
    "server": "etcd/server.crt",
    "server_key": "etcd/server.key",
    "peer": "etcd/peer.crt",
    "peer_key": "etcd/peer.key",
    "client": "apiserver-etcd-client.crt",
    "client_key": "apiserver-etcd-client.key",
    "health": "etcd/healthcheck-client.crt",
    "health_key": "etcd/healthcheck-client.key",
}


class PodSettings(Keys):
    """How members run: as a service of the init system, or as static pods of a kubelet, and what such a host needs."""

    etcd_runtime: Literal["service", "static_pod"] = key(
        "service",
        "Members run as a service of the init system, or as static pods of a kubelet.",
        "static_pod",
    )
    etcd_image: Image = key(
        "gcr.io/etcd-development/etcd:v{version}",
        "Image of a static pod; {version} is the release.",
        "registry.k8s.io/etcd:{version}-0",
    )
    etcd_manifest_dir: HostPath = key(
        "/etc/kubernetes/manifests", "Folder whose manifests kubelet runs.", "/etc/kubelet.d"
    )
    etcd_node_name: Word | None = key(
        None,
        "Name of the node in the certificates of a static pod; otherwise the member's.",
        "etcd01",
    )
    etcd_pod_requests: dict[Literal["cpu", "memory"], Quantity] = key(
        {"cpu": "100m", "memory": "100Mi"}, "What a static pod requests.", {"cpu": "500m", "memory": "1Gi"}
    )
    etcd_pod_limits: dict[Literal["cpu", "memory"], Quantity] = key(
        {}, "What a static pod may use at most.", {"memory": "8Gi"}
    )
    etcd_container_runtime: Literal["crio", "containerd"] = key(
        "crio", "Container runtime of a static pod's host.", "containerd"
    )
    etcd_kubernetes_version: Minor = key(
        "1.37", "Minor version of the repositories of kubelet and CRI-O.", "1.36"
    )
    etcd_node_packages: Literal["repositories", "present"] = key(
        "repositories",
        "Install kubelet and container runtime where they are missing, or insist that they are there.",
        "present",
    )
    etcd_kubelet_version: KubernetesRelease | None = key(
        None,
        "Release of kubelet that is installed as a verified program, instead of a package.",
        "v1.37.2",
    )
    etcd_kubelet_mirror: Mirror | None = key(
        None,
        "Where such a kubelet comes from, in the layout of dl.k8s.io.",
        "https://mirror.example.org/kubernetes",
    )
    etcd_kubelet_sha256: Digests | None = key(
        None, "SHA-256 of such a kubelet, or one for each architecture.", {"amd64": "…"}
    )
    etcd_crio_version: KubernetesRelease | None = key(
        None,
        "Release of CRI-O that is installed from its project's verified bundle, instead of packages.",
        "v1.37.0",
    )
    etcd_crio_mirror: Mirror | None = key(
        None,
        "Where such a bundle comes from, under upstream's file names.",
        "https://mirror.example.org/cri-o",
    )
    etcd_crio_sha256: Digests | None = key(
        None, "SHA-256 of such a bundle, or one for each architecture.", {"amd64": "…"}
    )
    etcd_pause_image: Image | None = key(
        None,
        "Image of a pod's own container, where the runtime's is not in reach.",
        "registry.k8s.io/pause:3.10.2",
    )
    etcd_fail_cgroup_v1: bool = key(
        True,
        "Let kubelet refuse a host with cgroup v1, as it does of itself since 1.35; control planes too.",
        False,
    )

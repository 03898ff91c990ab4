"""The control planes that kubeadm makes in front of a cluster."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from etcd_steward import kubeadm, kubeadm_fields
from etcd_steward.settings.key import Keys, key
from etcd_steward.values import CertifiedName, Digests, HostPath, Mirror, OwnIp, Word

__all__ = ["KubernetesSettings"]


def _networks(value: str) -> str:
    kubeadm_fields.check_networks(value)
    return value


def _config(value: dict[str, Any]) -> dict[str, Any]:
    kubeadm_fields.check_config(value)
    return value


KubernetesRelease = Annotated[str, AfterValidator(kubeadm.parse_release)]
Endpoint = Annotated[str, AfterValidator(kubeadm.parse_endpoint)]
Networks = Annotated[str, AfterValidator(_networks)]
KubeadmConfig = Annotated[dict[str, Any], AfterValidator(_config)]


class KubernetesSettings(Keys):
    """The control planes that kubeadm makes in front of a cluster; each may differ from host to host."""

    etcd_kubernetes_group: Word = key(
        "control_planes",
        "kubernetes: inventory group of the control planes; each names its cluster with etcd_client_of.",
        "masters",
    )
    etcd_kubernetes_release: KubernetesRelease | None = key(None, "kubernetes: its release.", "v1.37.2")
    etcd_kubernetes_endpoint: Endpoint | None = key(
        None,
        "kubernetes: address and port by which all reach the API servers (controlPlaneEndpoint).",
        "10.107.88.9:6443",
    )
    etcd_kubernetes_cert_sans: list[CertifiedName] = key(
        [], "kubernetes: further names and addresses in the API server's certificate.", ["test.example.poc"]
    )
    etcd_kubernetes_pod_subnet: Networks = key(
        "10.244.0.0/16", "kubernetes: the pods' network.", "10.244.0.0/16"
    )
    etcd_kubernetes_service_subnet: Networks | None = key(
        None, "kubernetes: the services' network; otherwise kubeadm's own.", "10.96.0.0/12"
    )
    etcd_kubernetes_node_name: Word | None = key(
        None, "kubernetes: name of the node; otherwise its host name.", "master01"
    )
    etcd_kubernetes_advertise_address: OwnIp | None = key(
        None, "kubernetes: address of this host's API server; otherwise kubeadm's own choice.", "10.107.88.18"
    )
    etcd_kubernetes_cri_socket: HostPath | None = key(
        None,
        "kubernetes: the container runtime's socket; otherwise the one that kubeadm finds.",
        "/var/run/crio/crio.sock",
    )
    etcd_kubernetes_config: KubeadmConfig = key(
        {},
        "kubernetes: further fields of kubeadm's ClusterConfiguration, by their own names.",
        {"clusterName": "poc", "imageRepository": "registry.example.org/k8s"},
    )
    etcd_kubernetes_install: Literal["repository", "binaries", "present"] = key(
        "repository",
        "kubernetes: take kubeadm, kubectl and kubelet from their package repository, as verified programs, or as they are there.",
        "binaries",
    )
    etcd_kubernetes_repository: Mirror | None = key(
        None,
        "kubernetes, static pods: the package repository, in the layout of pkgs.k8s.io up to the minor version.",
        "https://mirror.example.org/kubernetes/core:/stable:",
    )
    etcd_kubernetes_mirror: Mirror | None = key(
        None,
        "kubernetes: where its programs come from, in the layout of dl.k8s.io/release.",
        "https://mirror.example.org/k8s",
    )
    etcd_kubernetes_sha256: dict[Literal["kubeadm", "kubectl", "kubelet"], Digests] = key(
        {},
        "kubernetes: SHA-256 of its programs, each one or one for each architecture; otherwise those beside them.",
        {"kubectl": {"amd64": "0" * 64}},
    )
    etcd_kubernetes_prefix: HostPath = key(
        "/opt/kubernetes",
        "kubernetes: folder in which every release of the programs has one of its own.",
        "/srv/kubernetes",
    )
    etcd_kubernetes_init: bool = key(
        False,
        "kubernetes: run `kubeadm init` on the first control plane, unless it has been run there.",
        True,
    )

"""What kubeadm's v1beta4 ClusterConfiguration takes: its fields at every depth, and networks for pods."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Any

from etcd_steward.yaml_text import is_plain

__all__ = ["FIELDS", "INNER", "check_config", "check_networks", "judge_pods"]

# Fields of v1beta4's ClusterConfiguration (kubernetes, cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go).
FIELDS = frozenset(
    {
        "apiServer",
        "caCertificateValidityPeriod",
        "certificateValidityPeriod",
        "certificatesDir",
        "clusterName",
        "controlPlaneEndpoint",
        "controllerManager",
        "dns",
        "encryptionAlgorithm",
        "etcd",
        "featureGates",
        "imageRepository",
        "kubernetesVersion",
        "networking",
        "proxy",
        "scheduler",
    }
)
_COMPONENT = {
    "extraArgs": ({"name": {}, "value": {}},),
    "extraEnvs": ({"name": {}, "value": {}, "valueFrom": None},),
    "extraVolumes": ({"hostPath": {}, "mountPath": {}, "name": {}, "pathType": {}, "readOnly": {}},),
}
# Fields of the fields, from the same place: a tuple is a list of such, None holds any. kubeadm refuses others ("strict decoding").
INNER: Mapping[str, Any] = {
    "apiServer": {**_COMPONENT, "certSANs": None},
    "controllerManager": _COMPONENT,
    "dns": {"disabled": {}, "imageRepository": {}, "imageTag": {}},
    "networking": {"dnsDomain": {}, "podSubnet": {}, "serviceSubnet": {}},
    "proxy": {"disabled": {}},
    "scheduler": _COMPONENT,
}
# What kubeadm 1.36.2 says that it takes.
ALGORITHMS = ("ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096")

# Masks of a node's part of the pods' network, and by how much that may be wider (kubernetes,
# cmd/kubeadm/app/apis/kubeadm/validation: `ValidatePodSubnetNodeMask`, `PodSubnetNodeMaskMaxDiff`).
NODE_MASKS = {4: 24, 6: 64}
MOST_NODE_BITS = 16

# What settings of their own or the cluster give; certificates lie where kubeadm looks for them.
RESERVED = frozenset({"controlPlaneEndpoint", "etcd", "kubernetesVersion", "certificatesDir"})


def check_config(values: Mapping[str, Any]) -> None:
    """Judge the fields that the operator adds to ClusterConfiguration, as far as kubeadm's own types tell.

    Args:
        values: the fields.

    Raises:
        ValueError: a field or a value is not the operator's to set, or none of v1beta4.
    """
    for key, value in values.items():
        if key not in FIELDS:
            near = difflib.get_close_matches(str(key), FIELDS, n=1)
            raise ValueError(
                f"fields of kubeadm's v1beta4 ClusterConfiguration{f', such as {near[0]}' if near else ''}"
            )
        if key in RESERVED:
            raise ValueError(
                f"other fields than {key}, which etcd_kubernetes_… settings or the cluster itself give"
            )
        if not is_plain(value):
            raise ValueError(f"texts, whole numbers, True, False, lists and dictionaries for {key}")
        arguments = value.get("extraArgs", []) if isinstance(value, Mapping) else []
        if not isinstance(arguments, list) or not all(
            isinstance(one, Mapping) and set(one) == {"name", "value"} for one in arguments
        ):
            raise ValueError(
                f"a list of {{'name': …, 'value': …}} as extraArgs of {key}, which v1beta4 made of the dictionary before"
            )
        if not all(isinstance(one[part], str) for one in arguments for part in one):
            raise ValueError(f"texts as values of extraArgs of {key}, such as 'false' or '2'")
        if key in INNER:
            _check_inner(key, value, INNER[key])
        if key == "encryptionAlgorithm" and value not in ALGORITHMS:
            raise ValueError(f"one of {', '.join(ALGORITHMS)} as encryptionAlgorithm")


def _check_inner(path: str, value: Any, known: Any) -> None:
    """Refuse fields that kubeadm's types do not have, at any depth."""
    if known is None or known == {}:
        return
    if isinstance(known, tuple) and isinstance(value, list):
        for number, one in enumerate(value):
            _check_inner(f"{path}[{number}]", one, known[0])
        return
    if isinstance(known, tuple) or not isinstance(value, Mapping):
        raise ValueError(f"a {'list' if isinstance(known, tuple) else 'dictionary'} as {path}")  # noqa: TRY004 - as all settings
    for key, inner in value.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ValueError(
                f"fields of {path} that v1beta4 has{f', such as {near[0]}' if near else ''}, and no {key}"
            )
        _check_inner(f"{path}.{key}", inner, known[key])


def check_networks(value: str) -> None:
    """Judge a network for pods or services: one, or one of each family.

    Args:
        value: such as 10.244.0.0/16 or 10.244.0.0/16,fd00:10::/56.

    Raises:
        ValueError: it is none.
    """
    try:
        networks = [ipaddress.ip_network(part) for part in value.split(",")]
    except ValueError:
        networks = []
    if not networks or "/" not in value or len(networks) > len({network.version for network in networks}):
        raise ValueError("a network such as 10.244.0.0/16, or one of each family with a comma between them")


def judge_pods(subnet: str, more: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say why kubeadm would refuse the pods' network: each node gets a part of it.

    Args:
        subnet: the network, or one of each family.
        more: further fields of ClusterConfiguration, which may set the size of a part.

    Returns:
        What was found and what was wanted; None where kubeadm takes it.
    """
    given = {one["name"]: one["value"] for one in more.get("controllerManager", {}).get("extraArgs", [])}
    if given.get("allocate-node-cidrs") == "false":
        return None
    networks = [ipaddress.ip_network(part) for part in subnet.split(",")]
    for network in networks:
        alone = "node-cidr-mask-size" if len(networks) == 1 else ""
        told = given.get(f"node-cidr-mask-size-ipv{network.version}") or given.get(alone)
        mask = int(told) if told and told.isdigit() else NODE_MASKS[network.version]
        if not 0 <= mask - network.prefixlen <= MOST_NODE_BITS:
            return (
                f"etcd_kubernetes_pod_subnet {network}, of which each node gets a /{mask}",
                f"/{max(mask - MOST_NODE_BITS, 0)} to /{mask}",
            )
    return None

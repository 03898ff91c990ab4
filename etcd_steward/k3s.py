"""What k3s reads, and what of a cluster is k3s' own: its files, its token's key, and a Pi's kernel command line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etcd_steward.binaries import Program

__all__ = [
    "COMMAND_LINES",
    "LEADING",
    "Server",
    "check_config",
    "check_token",
    "command_line",
    "config",
    "parse_release",
    "program",
    "reason_against_sharing",
    "release_line",
    "storage_key",
    "values",
]

UPSTREAM = "https://github.com/k3s-io/k3s/releases/download"

# Architecture as etcd's releases name it -> end of the program's name (k3s, install.sh: `setup_verify_arch`).
SUFFIXES = {"amd64": "", "arm64": "-arm64", "arm": "-armhf"}

# What is written here for every server, or would make it keep its data elsewhere; `agent-token` is a secret.
RESERVED = frozenset(
    {
        "datastore-endpoint",
        "datastore-cafile",
        "datastore-certfile",
        "datastore-keyfile",
        "token",
        "token-file",
        "agent-token",
        "tls-san",
        "node-ip",
        "server",
        "cluster-init",
        "cluster-reset",
        "data-dir",
    }
)
# Those of them that lead a server elsewhere wherever k3s reads them, though they are not written here.
LEADING = frozenset(
    {
        "token-file",
        "server",
        "cluster-init",
        "cluster-reset",
        "cluster-reset-restore-path",
        "data-dir",
        "config",
    }
)

# Where a Raspberry Pi has its kernel command line, newest layout first: Ubuntu with A/B boot, Raspberry Pi OS since
# bookworm and Ubuntu, Raspberry Pi OS before (and Alpine installed on a disk), Alpine run from its boot partition.
COMMAND_LINES = (
    "/boot/firmware/current/cmdline.txt",
    "/boot/firmware/cmdline.txt",
    "/boot/cmdline.txt",
    "/media/mmcblk0p1/cmdline.txt",
)
CGROUPS = ("cgroup_enable=cpuset", "cgroup_memory=1", "cgroup_enable=memory")


@dataclass(frozen=True)
class Server:
    """What one k3s server's configuration says.

    Args:
        endpoints: client URL of every member.
        ca: path of the authority's certificate on the server.
        certificate: path of its client certificate.
        key: path of that certificate's key.
        token: the secret that all servers share.
        tls_san: further names in the API server's certificate.
        node_ip: address of the node; empty for k3s' own choice.
        more: every other key.
    """

    endpoints: Sequence[str]
    ca: str
    certificate: str
    key: str
    token: str = field(repr=False)
    tls_san: Sequence[str] = ()
    node_ip: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def config(server: Server) -> str:
    """Write `/etc/rancher/k3s/config.yaml`, whose keys are the long flags of `k3s server`.

    Values are written as JSON, which YAML contains: a token such as 12e4 stays a text for every reader.

    Args:
        server: what it says.

    Returns:
        The file.
    """
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values(server).items()]
    return "".join(["# Written by etcd-steward; changes here are overwritten.\n", *lines])


def values(server: Server) -> dict[str, Any]:
    """Give the keys of `config.yaml` and their values.

    Args:
        server: what it says.
    """
    given: dict[str, Any] = {
        "datastore-endpoint": ",".join(server.endpoints),
        "datastore-cafile": server.ca,
        "datastore-certfile": server.certificate,
        "datastore-keyfile": server.key,
        "token": server.token,
    }
    if server.tls_san:
        given["tls-san"] = list(server.tls_san)
    if server.node_ip:
        given["node-ip"] = server.node_ip
    return given | dict(sorted(server.more.items()))


def check_config(values: Mapping[str, Any]) -> None:
    """Judge the keys that the operator adds.

    Args:
        values: the keys.

    Raises:
        ValueError: a key or a value cannot be written, or is not the operator's to set.
    """
    for key, value in values.items():
        if not isinstance(key, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", key):
            raise ValueError("keys that are long flags of `k3s server`, such as write-kubeconfig-mode")
        if key in RESERVED:
            raise ValueError(f"other keys than {key}, which etcd_k3s_… settings or the cluster itself give")
        for one in value if isinstance(value, list) else [value]:
            if not _is_plain(one):
                raise ValueError(f"a text, a number, True, False or a list of these for {key}")


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return bool(value) and value.isprintable()
    return isinstance(value, int) and abs(value) < 1 << 63


def check_token(value: str) -> None:
    """Judge a token; a text without spaces, as it stands in `K10…` tokens and on other servers' command lines.

    Args:
        value: the token.

    Raises:
        ValueError: it cannot be one.
    """
    if not re.fullmatch(r"[!-~]{8,512}", value):
        raise ValueError("8 to 512 printable characters without spaces")


def storage_key(token: str) -> str:
    """Tell under which key k3s keeps its authorities (k3s, pkg/cluster: `storageKey`, `normalizeToken`).

    Args:
        token: the servers' token, short or as `K10<hash>::<user>:<password>`.

    Returns:
        The key in etcd, which holds a part of the token's digest.
    """
    secret = token.partition("::")[2] if re.match(r"K10[0-9a-f]{64}::", token) else token
    secret = secret.partition(":")[2] if ":" in secret else secret
    return f"/bootstrap/{hashlib.sha256(secret.encode()).hexdigest()[:12]}"


def reason_against_sharing(keys: Collection[str], token: str | None) -> tuple[str, str, str] | None:
    """Say why servers with this token must not use a cluster: k3s has no prefix of its own in it.

    Args:
        keys: keys of the cluster under /registry and /bootstrap, at least one of each that has some.
        token: the servers' token; None where it is not made yet.

    Returns:
        What was found, what was wanted and what to do next; None where nothing speaks against it.
    """
    known = [key for key in keys if key.startswith("/bootstrap/")]
    if not known:
        if not keys:
            return None
        return (
            "keys of another Kubernetes (/registry, without k3s' own /bootstrap)",
            "a cluster that k3s has for itself, as both would write the same keys",
            "make another cluster for k3s, with an etcd_cluster and hosts of its own",
        )
    if token is None:
        return (
            "a k3s that uses this cluster already, and no token of it here",
            "the token that its servers share",
            "copy k3s-token into the cluster's folder of etcd_pki_dir, or set etcd_k3s_token",
        )
    if storage_key(token) not in known:
        return (
            "a k3s with another token in this cluster",
            "its own token, as with another one k3s refuses to start or makes authorities of its own",
            "set etcd_k3s_token to it (/var/lib/rancher/k3s/server/token on a server), or make another cluster",
        )
    return None


def parse_release(value: str) -> str:
    """Read a release of k3s.

    Args:
        value: such as v1.37.1+k3s1.

    Returns:
        The same with its v.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"v?([0-9]+\.[0-9]+\.[0-9]+(-rc[0-9]+)?\+k3s[0-9]+)", value)
    if found is None:
        raise ValueError("a release of k3s such as v1.37.1+k3s1")
    return f"v{found[1]}"


def release_line(release: str) -> tuple[int, int]:
    """Tell the minor version of Kubernetes that a release belongs to.

    Args:
        release: such as v1.37.1+k3s1.

    Returns:
        Such as (1, 34).
    """
    major, minor = release.removeprefix("v").split(".")[:2]
    return int(major), int(minor)


def program(release: str, arch: str, mirror: str | None) -> Program:
    """Say where a release's program and its digest are.

    Args:
        release: such as v1.37.1+k3s1.
        arch: the architecture as etcd's releases name it.
        mirror: the address up to the folder of the release, or None for upstream's.

    Returns:
        The program.

    Raises:
        KeyError: k3s has no release for that architecture.
    """
    folder = f"{(mirror or UPSTREAM).rstrip('/')}/{release.replace('+', '%2B')}"
    return Program(
        name="k3s",
        version=release,
        arch=arch,
        url=f"{folder}/k3s{SUFFIXES[arch]}",
        sums=f"{folder}/sha256sum-{arch}.txt",
        settings=("etcd_k3s_version", "etcd_k3s_mirror", "etcd_k3s_sha256"),
    )


def command_line(text: str) -> str:
    """Put the cgroups that k3s needs on a kernel command line (k3s' requirements for Raspberry Pi).

    Args:
        text: what is in cmdline.txt: one line.

    Returns:
        The line with its end; the same text where nothing is missing.

    Raises:
        ValueError: it is no such line, or switches off what k3s needs.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        raise ValueError(f"{len(lines)} lines, wanted the one line of a kernel's command line")
    words = lines[0].split()
    off = [
        word
        for word in words
        if word in {"cgroup_disable=memory", "cgroup_disable=cpuset", "cgroup_memory=0"}
    ]
    if off:
        raise ValueError(f"{off[0]} on the kernel's command line, wanted it away, as k3s needs these cgroups")
    missing = [word for word in CGROUPS if word not in words]
    return f"{' '.join([lines[0].strip(), *missing])}\n" if missing else text

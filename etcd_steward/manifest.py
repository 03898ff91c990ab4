"""The manifest of a member that runs as a static pod: kubeadm's etcd.yaml, for each release of etcd.

Its shape is that of kubeadm 1.36 (`kubeadm init phase etcd local`), also for images that kubeadm 1.36 itself would give
flags that they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from etcd_steward import config_keys, configuration
from etcd_steward.configuration import Config, PodDumper
from etcd_steward.versions import Version

__all__ = ["METRICS_URL", "Pod", "flags", "image", "render", "settled_lines"]

HEADER = "# Written by etcd-steward, which overwrites changes made here: set etcd_config in the inventory.\n"

METRICS_PORT = 2381
METRICS_URL = f"http://127.0.0.1:{METRICS_PORT}"

# kubeadm's own, pkg/util/staticpod: system-node-critical.
_PRIORITY = 2000001000


@dataclass(frozen=True)
class Pod:
    """What one member's manifest says.

    Args:
        name: the pod's name.
        image: its image, in which `{version}` stands for the release.
        config: what etcd is told.
        authorities: digest of the two authorities that etcd reads when it starts.
        requests: what the container asks for.
        limits: what it may use at most.
    """

    name: str
    image: str
    config: Config
    authorities: str
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


def image(pattern: str, version: Version) -> str:
    """Name the image of a release.

    Args:
        pattern: the setting `etcd_image`.
        version: the release.

    Returns:
        The image with its tag.
    """
    return pattern.replace("{version}", str(version))


def render(pod: Pod, version: Version) -> str:
    """Write the manifest.

    Every flag that begins with `--initial-` stays on a line of its own and members are sorted by name, as a host leaves
    these lines out when it judges whether a restart is due.

    Args:
        pod: what it says.
        version: the release that the image holds.

    Returns:
        The text of the file.

    Raises:
        ValueError: a value that would break the file, or a flag that this release does not know.
    """
    complaints = configuration.check(pod.config.extra, version)
    if complaints:
        raise ValueError("; ".join(complaints))
    volumes = _volumes(pod.config)
    container = {
        "command": ["etcd", *flags(pod.config, version)],
        "image": image(pod.image, version),
        "imagePullPolicy": "IfNotPresent",
        "name": "etcd",
        "ports": [{"containerPort": METRICS_PORT, "name": "probe-port", "protocol": "TCP"}],
        "resources": {
            "requests": dict(pod.requests),
            **({"limits": dict(pod.limits)} if pod.limits else {}),
        },
        "volumeMounts": [{"mountPath": path, "name": name} for name, path in reversed(volumes)],
        **_probes(version),
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": {
                "kubeadm.kubernetes.io/etcd.advertise-client-urls": ",".join(pod.config.advertise_client_urls)
            },
            "labels": {"component": "etcd", "tier": "control-plane"},
            "name": pod.name,
            "namespace": "kube-system",
        },
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priority": _PRIORITY,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                {"hostPath": {"path": path, "type": "DirectoryOrCreate"}, "name": name}
                for name, path in volumes
            ],
        },
        "status": {},
    }
    # A comment, which kubelet does not see: it would take anything else for another pod.
    head = f"{HEADER}# authorities {pod.authorities}\n"
    return head + yaml.dump(manifest, Dumper=PodDumper, default_flow_style=False, width=float("inf"))


def settled_lines(text: str) -> str:
    """Leave out the lines of a manifest that only matter for the first start of a member, and its comments."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith(("- --initial-", "#")))


def flags(config: Config, version: Version) -> list[str]:
    """List etcd's flags in kubeadm's order: its own sorted by name, then ours and the user's.

    As with kubeadm's `extraArgs`, one that bears the name of one of kubeadm's takes its place and stands behind.

    Args:
        config: what etcd is told.
        version: the release that reads them.

    Returns:
        Such as `--name=etcd01`.
    """
    usual = _usual(config, version)
    more = {
        "initial-cluster-state": config.state,
        "initial-cluster-token": config.token,
        **({"wal-dir": config.wal_dir} if config.wal_dir else {}),
        **_ours(version),
    }
    gates = config.extra.get("feature-gates")
    for key in sorted(config.extra):
        more[key] = _flag(key, config.extra[key])
    if gates is not None:
        both = (config_keys.gates(usual["feature-gates"]), config_keys.gates(gates))
        states = {name: state for one in both for name, state in (one or {}).items()}
        more["feature-gates"] = ",".join(f"{name}={str(on).lower()}" for name, on in sorted(states.items()))
    written = [*((key, usual[key]) for key in sorted(usual) if key not in more), *more.items()]
    for key, value in written:
        if not value.isprintable():
            raise ValueError(f"found {value!r} for {key}, wanted one line of text")
    return [f"--{key}={value}" for key, value in written]


def _usual(config: Config, version: Version) -> dict[str, str]:
    """Give what kubeadm itself passes."""
    members = sorted(config.initial_cluster.items())
    # kubeadm lists loopback first.
    clients = sorted(
        config.listen_client_urls, key=lambda url: not url.startswith(("https://127.", "https://[::1]"))
    )
    usual = {
        "advertise-client-urls": ",".join(config.advertise_client_urls),
        "cert-file": config.client_tls.cert,
        "client-cert-auth": "true",
        "data-dir": config.data_dir,
        "initial-advertise-peer-urls": ",".join(config.advertise_peer_urls),
        "initial-cluster": ",".join(f"{name}={url}" for name, urls in members for url in urls),
        "key-file": config.client_tls.key,
        "listen-client-urls": ",".join(clients),
        "listen-metrics-urls": METRICS_URL,
        "listen-peer-urls": ",".join(config.listen_peer_urls),
        "name": config.name,
        "peer-cert-file": config.peer_tls.cert,
        "peer-client-cert-auth": "true",
        "peer-key-file": config.peer_tls.key,
        "peer-trusted-ca-file": config.peer_tls.ca,
        "snapshot-count": "10000",
        "trusted-ca-file": config.client_tls.ca,
    }
    if version >= Version(3, 6, 0):
        return usual | {"feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s"}
    # An unknown flag ends etcd.
    older = {
        "experimental-initial-corrupt-check": "true",
        "experimental-watch-progress-notify-interval": "5s",
    }
    return usual | {key: value for key, value in older.items() if config_keys.known(key, version)}


def _ours(version: Version) -> dict[str, str]:
    chosen = {
        # Without compaction the history grows until the NOSPACE alarm (etcd's maintenance guide).
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "8h",
    }
    # 3.4's own default, capnslog, is gone in 3.5.
    return chosen if version >= Version(3, 5, 0) else {**chosen, "logger": "zap"}


def _flag(key: str, value: object) -> str:
    written = config_keys.written(key, value)
    if isinstance(written, bool):
        return str(written).lower()
    if isinstance(written, list):
        return ",".join(map(str, written))
    # The file wants nanoseconds, a flag a duration.
    return f"{written}ns" if config_keys.kind(key) == "duration" else str(written)


def _volumes(config: Config) -> list[tuple[str, str]]:
    files = [path for tls in (config.client_tls, config.peer_tls) for path in (tls.cert, tls.key, tls.ca)]
    folders = sorted({path.rpartition("/")[0] for path in files})
    certs = [
        ("etcd-certs" if not number else f"etcd-certs-{number}", path) for number, path in enumerate(folders)
    ]
    # The log's own folder may be a mount point, and etcd makes its log beside that place: so the folder around it.
    wal = [("etcd-wal", config.wal_dir.rpartition("/")[0])] if config.wal_dir else []
    return [*certs, *wal, ("etcd-data", config.data_dir)]


def _probes(version: Version) -> dict[str, object]:
    """Ask as kubeadm does; /livez and /readyz came with 3.5.11 and 3.4.29, and readiness was not asked before."""
    new = version >= Version(3, 5, 11) or Version(3, 4, 29) <= version < Version(3, 5, 0)

    def probe(path: str, failures: int, period: int, delay: int = 0) -> dict[str, object]:
        get = {"host": "127.0.0.1", "path": path, "port": "probe-port", "scheme": "HTTP"}
        return {
            "failureThreshold": failures,
            "httpGet": get,
            **({"initialDelaySeconds": delay} if delay else {}),
            "periodSeconds": period,
            "timeoutSeconds": 15,
        }

    alive = "/livez" if new else "/health?exclude=NOSPACE&serializable=true"
    begun = "/readyz" if new else "/health?serializable=false"
    return {
        "livenessProbe": probe(alive, 8, 10, 10),
        **({"readinessProbe": probe("/readyz", 3, 1)} if new else {}),
        "startupProbe": probe(begun, 24, 10, 10),
    }

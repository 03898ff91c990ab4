"""etcd's configuration file: which keys a release knows, what users may set, and how the file is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import yaml

from etcd_steward import config_keys
from etcd_steward.config_keys import RESERVED
from etcd_steward.versions import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PEER_ALLOWED_CN_SINCE",
    "RESERVED",
    "Config",
    "PodDumper",
    "TlsFiles",
    "advise",
    "check",
    "defaults",
    "render",
]

HEADER = "# Written by etcd-steward, which overwrites changes made here: set etcd_config in the inventory.\n"

# The file knows `allowed-cn` only from here on (etcd#18063), and with a file etcd ignores the flag.
PEER_ALLOWED_CN_SINCE = Version(3, 5, 14)

# etcd's defaults and its limit (embed/config.go)
HEARTBEAT_MS, ELECTION_MS, MAX_ELECTION_MS = 100, 1000, 50_000
LARGEST_QUOTA = 8 * 1024**3  # etcd's documentation, "System limits"


@dataclass(frozen=True)
class TlsFiles:
    """Paths on the host of one certificate, its key, and the authorities that are trusted."""

    cert: str
    key: str
    ca: str


@dataclass(frozen=True)
class Config:
    """Everything that one member's configuration file says.

    Args:
        name: the member's name.
        data_dir: folder of its data.
        wal_dir: folder of its write-ahead log, or None for the one inside the data folder.
        listen_peer_urls: where it listens for other members.
        listen_client_urls: where it listens for clients.
        advertise_peer_urls: where other members reach it.
        advertise_client_urls: where clients reach it.
        initial_cluster: peer URLs of every member by name.
        token: the cluster token of this bootstrap or restore.
        state: "new" only while a cluster is made, "existing" ever after.
        client_tls: files for serving clients.
        peer_tls: files for talking to other members.
        extra: the user's own keys, already checked.
        peer_allowed_cn: common name that other members' certificates must carry, from etcd 3.5.14 on.
    """

    name: str
    data_dir: str
    wal_dir: str | None
    listen_peer_urls: tuple[str, ...]
    listen_client_urls: tuple[str, ...]
    advertise_peer_urls: tuple[str, ...]
    advertise_client_urls: tuple[str, ...]
    initial_cluster: Mapping[str, tuple[str, ...]]
    token: str
    state: Literal["new", "existing"]
    client_tls: TlsFiles
    peer_tls: TlsFiles
    extra: Mapping[str, object] = field(default_factory=dict)
    peer_allowed_cn: str | None = None


class _Dumper(yaml.SafeDumper):
    """Quotes texts that some reader of YAML takes for another type, where PyYAML does not: 1e3, or a name such as y."""


# All that YAML 1.1 reads as a truth value or as nothing (yaml.org/type/bool.html, null.html); PyYAML leaves y and n out.
_WORDS = {"y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", "", "=", "<<"}


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if text[:1] in set("0123456789+-._") or text.lower() in _WORDS else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


class PodDumper(yaml.SafeDumper):
    """Writes texts as kubeadm's manifest has them, and quotes those words."""


def _pod_text(dumper: PodDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="'" if text.lower() in _WORDS else None
    )


PodDumper.add_representer(str, _pod_text)


def defaults(version: Version) -> dict[str, object]:
    """Give the keys whose upstream default is not what a cluster should run with.

    Args:
        version: the release that reads the file.

    Returns:
        Keys and values; the user's own win over them.
    """
    chosen: dict[str, object] = {
        "logger": "zap",  # 3.4's own default, capnslog, is gone in 3.5
        "log-outputs": ["stderr"],  # the init system keeps it, under systemd and OpenRC alike
        # Without compaction the history grows until the NOSPACE alarm (etcd's maintenance guide).
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "8h",
    }
    # Wrong data is found before it is served (etcd's guide to data corruption, after etcd#13766).
    if version >= Version(3, 6, 0):
        chosen["feature-gates"] = {"InitialCorruptCheck": True, "CompactHashCheck": True}
    elif version >= Version(3, 5, 0):
        chosen["experimental-initial-corrupt-check"] = True
        if config_keys.known("experimental-compact-hash-check-enabled", version):
            chosen["experimental-compact-hash-check-enabled"] = True
    return chosen


def render(config: Config, version: Version) -> str:
    """Write the configuration file of one member.

    Each key that begins with `initial-` stays on one line and members are sorted by name, as a host leaves
    these lines out when it judges whether a restart is due.

    Args:
        config: what the file says.
        version: the release that reads it.

    Returns:
        The text of the file.

    Raises:
        ValueError: a value that would break the file, or that this release would silently ignore.
    """
    complaints = check(config.extra, version)
    if complaints:
        raise ValueError("; ".join(complaints))
    peer_tls = _tls(config.peer_tls)
    if config.peer_allowed_cn is not None:
        if version < PEER_ALLOWED_CN_SINCE:
            raise ValueError(
                f"found peers told apart by common name on etcd {version}, wanted {PEER_ALLOWED_CN_SINCE} "
                "or later; next: give peers an authority of their own",
            )
        peer_tls["allowed-cn"] = [config.peer_allowed_cn]
    members = sorted(config.initial_cluster.items())
    content: dict[str, object] = {
        "name": config.name,
        "data-dir": config.data_dir,
        **({"wal-dir": config.wal_dir} if config.wal_dir else {}),
        "listen-peer-urls": ",".join(config.listen_peer_urls),
        "listen-client-urls": ",".join(config.listen_client_urls),
        "advertise-client-urls": ",".join(config.advertise_client_urls),
        "initial-advertise-peer-urls": ",".join(config.advertise_peer_urls),
        "initial-cluster": ",".join(f"{name}={url}" for name, urls in members for url in urls),
        "initial-cluster-token": config.token,
        "initial-cluster-state": config.state,
        "client-transport-security": _tls(config.client_tls),
        "peer-transport-security": peer_tls,
    }
    for key, value in content.items():
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"found {value!r} for {key}, wanted one line of text")
    chosen = _together(config.extra, version)
    content.update({key: config_keys.written(key, chosen[key]) for key in sorted(chosen)})
    # Without a width nothing is folded.
    return HEADER + yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=float("inf")
    )


def check(extra: Mapping[str, object], version: Version) -> list[str]:
    """Find everything that is wrong with the user's own keys; etcd itself ignores unknown ones silently.

    Args:
        extra: the setting `etcd_config`.
        version: the release that reads them.

    Returns:
        One sentence for each complaint, in the order of the keys; empty if all is right.
    """
    complaints = []
    for key, value in extra.items():
        problem = config_keys.problem(key, value, version)
        if problem:
            complaints.append(problem)
    if not complaints:
        complaints += config_keys.conflicts(_together(extra, version), version)
    return complaints + _timer_complaints(extra)


def _together(extra: Mapping[str, object], version: Version) -> dict[str, object]:
    """Put the user's own keys over ours; feature gates are put together one by one."""
    ours = defaults(version)
    chosen = {**ours, **extra}
    if "feature-gates" in chosen:
        both = (ours.get("feature-gates"), extra.get("feature-gates"))
        chosen["feature-gates"] = {name: state for gates in both for name, state in _gates(gates).items()}
    return chosen


def advise(extra: Mapping[str, object]) -> list[str]:
    """Say which of the user's own values work, but are not wise.

    Args:
        extra: the setting `etcd_config`, without complaints.

    Returns:
        One sentence for each.
    """
    advice = []
    heartbeat, election = _timers(extra)
    if election < 10 * heartbeat:
        advice.append(
            f"election-timeout {election} ms is less than 10 times heartbeat-interval {heartbeat} ms "
            "(etcd's tuning guide)",
        )
    quota = extra.get("quota-backend-bytes")
    if isinstance(quota, int) and quota > LARGEST_QUOTA:
        advice.append(f"quota-backend-bytes {quota} is more than the 8 GiB that etcd is tested with")
    if extra.get("log-level") == "debug":
        advice.append("log-level debug fills the log")
    return advice + config_keys.weakened(extra)


def _timers(extra: Mapping[str, object]) -> tuple[int, int]:
    heartbeat, election = (
        extra.get("heartbeat-interval", HEARTBEAT_MS),
        extra.get("election-timeout", ELECTION_MS),
    )
    if not isinstance(heartbeat, int) or not isinstance(election, int):
        return HEARTBEAT_MS, ELECTION_MS  # complained about already
    return heartbeat, election


def _timer_complaints(extra: Mapping[str, object]) -> list[str]:
    heartbeat, election = _timers(extra)
    if heartbeat <= 0 or election <= 0:
        return ["heartbeat-interval and election-timeout should be more than 0 ms"]
    if election < 5 * heartbeat:
        return [
            (
                f"election-timeout is {election} ms, which should be at least 5 times heartbeat-interval "
                f"({heartbeat} ms), better 10 times"
            ),
        ]
    if election > MAX_ELECTION_MS:
        return [f"election-timeout is {election} ms, which should be at most {MAX_ELECTION_MS} ms"]
    return []


def _gates(value: object) -> dict[str, bool]:
    return config_keys.gates(value) or {}


def _tls(files: TlsFiles) -> dict[str, object]:
    return {
        "cert-file": files.cert,
        "key-file": files.key,
        "trusted-ca-file": files.ca,
        "client-cert-auth": True,
    }

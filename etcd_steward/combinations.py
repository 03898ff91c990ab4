"""Settings that are right one by one, but not together."""

from __future__ import annotations

import posixpath
import re

from etcd_steward import config_keys, configuration, flannel, kubeadm_fields, versions
from etcd_steward.archives import without_digest
from etcd_steward.digests import MAIN_ARCHES
from etcd_steward.errors import Complaint
from etcd_steward.settings import CERTIFICATE_FILES, Settings
from etcd_steward.values import is_systems, is_volatile
from etcd_steward.versions import Advice, Version

__all__ = ["ROOTS", "judge"]

# Below it the kernel lets root alone listen, as long as nobody has changed that; etcd's service is not root's.
_PRIVILEGED = 1024
# What is no file among log-outputs.
_STREAMS = {"default", "stderr", "stdout", "systemd/journal"}

KUBERNETES_TOOLS = ("kubeadm", "kubectl", "kubelet")


def judge(host: str, settings: Settings) -> list[Complaint]:
    """Judge what only several settings together, or etcd's own table of keys, can tell.

    Args:
        host: the host's inventory name.
        settings: its settings, each right in itself.

    Returns:
        The complaints.
    """
    version = versions.parse(settings.etcd_version)
    complaints = [
        _against(host, version, advice)
        for advice in versions.judge_target(version)
        if advice.refuse and (advice.always or not settings.etcd_force_version)
    ]
    complaints += [
        Complaint(
            host,
            f"etcd_config: {text}",
            f"keys and values that etcd {version} takes",
            "correct etcd_config, and where members still run an older release, run deploys/upgrade.py at once, which brings both",
        )
        for text in configuration.check(settings.etcd_config, version)
    ]
    # What is made here has keys of ECDSA; ready-made pairs are judged where they are read.
    unshared = config_keys.unshared(settings.etcd_config, "ECDSA")
    told = any("cipher-suites" in one.found for one in complaints)
    if unshared and not told and settings.etcd_certificates_dir is None:
        found, _, cure = unshared.partition("; ")
        complaints.append(
            Complaint(
                host,
                f"etcd_config: {found}",
                "a suite for the keys that are made here, which are of ECDSA",
                f"{cure} to it",
            )
        )
    complaints += [
        Complaint(
            host,
            f"etcd_config: {text}",
            "a database that only certificates open",
            f"take {text.partition(' ')[0]} out of etcd_config; or set etcd_allow_open = True, and every report tells it",
        )
        for text in config_keys.weakened(settings.etcd_config)
        if not settings.etcd_allow_open
    ]
    complaints += _digests(host, settings, version)
    for certificate, key in (("etcd_ca_cert", "etcd_ca_key"), ("etcd_peer_ca_cert", "etcd_peer_ca_key")):
        if getattr(settings, key) and not getattr(settings, certificate):
            complaints.append(
                Complaint(
                    host,
                    f"{key} without {certificate}",
                    "both",
                    f"set {certificate} to the certificate's file",
                ),
            )
    brought = [key for key in ("etcd_ca_cert", "etcd_peer_ca_cert") if getattr(settings, key)]
    if len(brought) == 1:
        complaints.append(
            Complaint(
                host,
                f"{brought[0]} alone",
                "your own authority for clients and for members, or for neither",
                "set both etcd_ca_cert and etcd_peer_ca_cert, to two authorities",
            ),
        )
    if settings.etcd_renew_days >= settings.etcd_certificate_days:
        complaints.append(
            Complaint(
                host,
                f"etcd_renew_days {settings.etcd_renew_days} and etcd_certificate_days {settings.etcd_certificate_days}",
                "certificates that are valid for longer than the days before their end in which they are made anew",
                "lower etcd_renew_days, or raise etcd_certificate_days",
            ),
        )
    if settings.etcd_client_port == settings.etcd_peer_port:
        complaints.append(
            Complaint(
                host,
                f"port {settings.etcd_client_port} twice",
                "two ports",
                "change etcd_client_port or etcd_peer_port",
            ),
        )
    wal = settings.etcd_wal_dir
    if wal is not None and (
        wal == settings.etcd_data_dir or f"{wal}/".startswith(f"{settings.etcd_data_dir}/member/")
    ):
        complaints.append(
            Complaint(
                host,
                f"etcd_wal_dir {wal}",
                "a folder outside the data folder's own",
                "choose another etcd_wal_dir",
            ),
        )
    complaints += _folders(host, settings)
    complaints += [*_bound(host, settings), *_logged(host, settings)]
    complaints += _pods(host, settings)
    complaints += _kubernetes(host, settings)
    files = [settings.certificate_path(kind, "member") for kind in CERTIFICATE_FILES]
    doubles = sorted({path for path in files if files.count(path) > 1})
    if doubles:
        complaints.append(
            Complaint(
                host,
                f"{doubles[0]} named twice in etcd_cert_files",
                "a file for each",
                "correct etcd_cert_files",
            ),
        )
    return complaints + flannel.judge(host, settings)


# Folders that root writes into, or runs programs from.
ROOTS = (
    "etcd_bin_dir",
    "etcd_cert_dir",
    "etcd_client_dir",
    "etcd_config_dir",
    "etcd_prefix",
    "etcd_snapshot_dir",
    "etcd_manifest_dir",
)
# Whose mode and owner we set, or which hold a folder for each release.
_OWN = ("etcd_cert_dir", "etcd_client_dir", "etcd_config_dir", "etcd_prefix", "etcd_manifest_dir")


def _folders(host: str, settings: Settings) -> list[Complaint]:
    """Judge which folder may lie in which: nothing of root's in the account's, and no data in a folder of root's."""
    paths = {key: getattr(settings, key) for key in ROOTS}
    data = {key: value for key in ("etcd_data_dir", "etcd_wal_dir") if (value := getattr(settings, key))}
    found = []
    for own, place in data.items():
        for other, path in paths.items():
            if _within(path, place) or _within(place, path):
                text = f"{own} and {other} both {place}"
                if path != place:
                    text = (
                        f"{other} {path} inside {own}"
                        if _within(path, place)
                        else f"{own} {place} inside {other}"
                    )
                found.append(
                    (text, "a folder for data alone, as only etcd may enter it", f"change {own} or {other}")
                )
    closed = settings.etcd_snapshot_dir
    found += [
        (
            f"{key} {path} inside etcd_snapshot_dir {closed}",
            "snapshots alone there, as only root may enter it",
            f"change {key}",
        )
        for key, path in paths.items()
        if key != "etcd_snapshot_dir" and _within(path, closed)
    ]
    for key, path in paths.items():
        if is_volatile(path):
            wanted = "a folder that outlives a reboot and in which only root makes names"
            found.append((f"{key} {path}", wanted, f"set {key} to another folder"))
        elif key in _OWN and is_systems(path):
            found.append((f"{key} {path}", "a folder of its own below it", f"set {key} to {path}/etcd"))
    return [Complaint(host, *one) for one in found]


def _within(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


def _digests(host: str, settings: Settings, version: Version) -> list[Complaint]:
    """Judge what is to be downloaded without a digest known beforehand; a host's architecture is seen later."""
    if not settings.etcd_require_digest:
        return []
    found = []
    if settings.etcd_digests == "mirror":
        found.append(
            Complaint(
                host,
                "etcd_require_digest and etcd_digests 'mirror'",
                "digests known beforehand, or those of the mirror",
                "take one of them out, or set etcd_sha256",
            )
        )
    lacking = [without_digest(host, settings, version, arch) for arch in MAIN_ARCHES]
    found += lacking[0] if all(lacking) else []
    programs = {
        "etcd_kubelet_sha256": settings.pod and settings.etcd_kubelet_version,
        "etcd_crio_sha256": settings.pod and settings.etcd_crio_version,
        "etcd_k3s_sha256": settings.etcd_k3s_version,
        "etcd_flannel_sha256": settings.etcd_flannel_network and settings.etcd_flannel_version,
    }
    given = {name: getattr(settings, name) is not None for name in programs}
    if settings.etcd_kubernetes_release and settings.etcd_kubernetes_install == "binaries":
        programs["etcd_kubernetes_sha256"] = settings.etcd_kubernetes_release
        given["etcd_kubernetes_sha256"] = len(settings.etcd_kubernetes_sha256) == len(KUBERNETES_TOOLS)
    return found + [
        Complaint(
            host,
            f"no {name} for {release}",
            "one, as etcd_require_digest is set",
            f"set {name} to the digests that its publisher gives",
        )
        for name, release in programs.items()
        if release and not given[name]
    ]


def _kubernetes(host: str, settings: Settings) -> list[Complaint]:
    against = kubeadm_fields.judge_pods(settings.etcd_kubernetes_pod_subnet, settings.etcd_kubernetes_config)
    cure = "correct etcd_kubernetes_pod_subnet, or node-cidr-mask-size in extraArgs of controllerManager"
    return [Complaint(host, *against, cure)] if against else []


def _bound(host: str, settings: Settings) -> list[Complaint]:
    """Judge the ports: a member that cannot listen ends at its start."""
    ports = {"etcd_client_port": settings.etcd_client_port, "etcd_peer_port": settings.etcd_peer_port}
    told = settings.etcd_config.get("listen-metrics-urls", [])
    urls = [str(one).strip() for one in (told if isinstance(told, list) else str(told).split(","))]
    # etcd binds each of its addresses for itself.
    metrics = [int(found[1]) for url in urls if (found := re.search(r":([0-9]{1,5})/?$", url))]
    complaints = [
        Complaint(
            host,
            f"{key} {port} among listen-metrics-urls too",
            "a port of its own for metrics",
            "give listen-metrics-urls another port, or leave it out: every client may ask for metrics at the client port",
        )
        for key, port in ports.items()
        if port in metrics
    ]
    if settings.pod:
        return complaints
    low = [*ports.items(), *(("listen-metrics-urls", port) for port in metrics)]
    return complaints + [
        Complaint(
            host,
            f"{key} {port}",
            f"{_PRIVILEGED} or more, as etcd runs without root's rights and may not listen below it",
            f"change {key}",
        )
        for key, port in low
        if port < _PRIVILEGED
    ]


def _logged(host: str, settings: Settings) -> list[Complaint]:
    """Judge where logs go: a folder that etcd may not write to takes every line without a word."""
    told = settings.etcd_config.get("log-outputs", [])
    files = [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
    folders = [folder for folder in (settings.etcd_data_dir, settings.etcd_wal_dir) if folder]
    return [
        Complaint(
            host,
            f"log-outputs has {path!r}, a file outside the folders that etcd may write to",
            f"the journal or syslog, which it writes to without any setting, or a file below {' or '.join(folders)}",
            "leave log-outputs out of etcd_config",
        )
        for path in files
        if path not in _STREAMS
        and not any(posixpath.normpath(path).startswith(f"{folder}/") for folder in folders)
    ]


def _pods(host: str, settings: Settings) -> list[Complaint]:
    fixed = {
        "listen-metrics-urls": "where kubelet's probes ask",
        "socket-options": "which is no flag of etcd",
    }
    found = [
        Complaint(
            host,
            f"etcd_config: {key} for a static pod",
            f"it left alone, {why}",
            f"take {key} out of etcd_config",
        )
        for key, why in fixed.items()
        if settings.pod and key in settings.etcd_config
    ]
    if settings.pod and settings.etcd_crio_version and settings.etcd_container_runtime != "crio":
        text = f"etcd_crio_version beside etcd_container_runtime {settings.etcd_container_runtime}"
        found.append(Complaint(host, text, "one runtime", "take etcd_crio_version out"))
    if settings.pod and not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", settings.etcd_service):
        text = "a pod's name: small letters, digits and dashes"
        found.append(
            Complaint(host, f"etcd_service {settings.etcd_service!r}", text, "set another etcd_service")
        )
    return found


def _against(host: str, version: Version, advice: Advice) -> Complaint:
    reason, _, better = advice.text.partition("; wanted ")
    insist = "" if advice.always else ", or insist with etcd_force_version = True"
    return Complaint(
        host,
        f"etcd_version {version} ({reason}; {advice.source})",
        better or f"a release such as {versions.DEFAULT}",
        f"set etcd_version to {versions.DEFAULT}{insist}",
    )

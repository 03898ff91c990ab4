"""What should lie on a member's host, as plain files, and which of it a running member must be restarted for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from etcd_steward import configuration, manifest, versions
from etcd_steward.configuration import Config, TlsFiles
from etcd_steward.observed import HostState, holds
from etcd_steward.platforms import INITS, PACKAGE_MANAGERS
from etcd_steward.record import Record
from etcd_steward.runtimes import start_check_path
from etcd_steward.settings import CERTIFICATE_FILES, Settings
from etcd_steward.storage import RECORDS
from etcd_steward.templating import render
from etcd_steward.topology import Cluster, Member
from etcd_steward.versions import Version

__all__ = [
    "MARKER",
    "PROFILE",
    "UNSETTLED",
    "Desired",
    "WantedFile",
    "desired",
    "managed_paths",
    "record_path",
]

MARKER = "ritten by etcd-steward"
PROFILE = "/etc/profile.d/etcdctl.sh"

# Lines of what etcd is started with that bear on its first start only, as an extended regular expression.
UNSETTLED = {"service": "^initial-", "static_pod": "^ *(- --initial-|#)"}


@dataclass(frozen=True)
class WantedFile:
    """A file that should be on a host.

    Args:
        path: where.
        content: what is in it.
        mode: octal, without a leading zero.
        owner: `user:group`.
        turn: whether it may only be written in the member's own turn, as it bears on the process.
    """

    path: str
    content: str
    mode: str
    owner: str
    turn: bool

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    def lies_on(self, state: HostState) -> bool:
        """Tell whether a host has it as it should be, as the probe told."""
        return holds(state.files.get(self.path), self)


@dataclass(frozen=True)
class Desired:
    """Everything that a member should have.

    Args:
        version: the release to run.
        files: the files, certificates and keys apart.
        settled: digest of the configuration without the lines that only matter for the first start.
        started: what a process that was started with all this has noted.
    """

    version: Version
    files: tuple[WantedFile, ...]
    settled: str
    started: Mapping[str, str]


def record_path(cluster: str) -> str:
    """Say where a host keeps the cluster's record."""
    return f"{RECORDS}/{cluster}.json"


def managed_paths(settings: Settings, name: str) -> list[str]:
    """List every path on a host whose digest decides anything, on all init systems.

    Args:
        settings: the host's settings.
        name: the member's name.

    Returns:
        Absolute paths; certificates and keys are among them.
    """
    paths = [settings.config_path, record_path(settings.etcd_cluster), start_check_path(settings), PROFILE]
    paths += [init.definition.format(name=settings.etcd_service) for init in INITS.values()]
    paths += [settings.manifest_path]
    paths += [packages.chrony_config for packages in PACKAGE_MANAGERS.values()]
    return [*dict.fromkeys(paths), *(settings.certificate_path(kind, name) for kind in CERTIFICATE_FILES)]


def wal_folder(settings: Settings) -> str:
    """Say where etcd keeps its write-ahead log: inside `etcd_wal_dir`, which may be a mount point.

    etcd makes its log beside that place and renames it there, removing what it finds (renameWAL in etcd's
    server/storage/wal/wal.go): neither a mount point nor anything that was moved aside may be in its way.

    Args:
        settings: the host's settings.
    """
    return f"{settings.etcd_wal_dir}/wal" if settings.etcd_wal_dir else f"{settings.etcd_data_dir}/member/wal"


def desired(
    cluster: Cluster,
    member: Member,
    state: HostState,
    record: Record,
    version: Version,
    authorities: tuple[str, str],
    initial_cluster: Mapping[str, tuple[str, ...]] | None = None,
) -> Desired:
    """Work out what should lie on a member's host.

    Args:
        cluster: the cluster as the settings describe it.
        member: whose host.
        state: what the probe told of it: its init system and machine.
        record: the cluster's record.
        version: the release that the member runs, or shall run.
        authorities: PEM of the authority for clients, and of the one for peers.
        initial_cluster: names and peer URLs for a first start; otherwise those of the settings.

    Returns:
        The files and digests.
    """
    settings = member.settings
    ca, peer_ca = (settings.certificate_path(kind, member.name) for kind in ("ca", "peer_ca"))
    root = "root:root"
    told = _config(cluster, member, record, (ca, peer_ca), initial_cluster)
    digest = hashlib.sha256("".join(authorities).encode()).hexdigest()
    own, started = (
        _as_pod(member, record, version, told, digest)
        if settings.pod
        else _as_service(cluster, member, state, record, version, told)
    )
    files = [
        WantedFile(ca, authorities[0], "644", root, turn=True),
        WantedFile(peer_ca, authorities[1], "644", root, turn=True),
        *own,
        WantedFile(record_path(cluster.name), record.text(member), "644", root, turn=False),
    ]
    if settings.etcd_profile:
        files.append(WantedFile(PROFILE, _profile(cluster, member), "644", root, turn=False))
    return Desired(
        version=version,
        files=tuple(files),
        settled=started["config"],
        started={**started, "authorities": digest},
    )


def _as_service(
    cluster: Cluster, member: Member, state: HostState, record: Record, version: Version, told: Config
) -> tuple[list[WantedFile], dict[str, str]]:
    """Write what the init system starts a member with, and what its start check will note of it."""
    settings = member.settings
    init = INITS[state.init]
    definition_path = init.definition.format(name=settings.etcd_service)
    config = configuration.render(told, version)
    binary = f"{settings.etcd_bin_dir}/etcd"
    folders = [settings.etcd_data_dir, *([settings.etcd_wal_dir] if settings.etcd_wal_dir else [])]
    values = {
        "cluster": cluster.name,
        "name": member.name,
        "user": settings.etcd_user,
        "group": settings.etcd_group,
        "service": settings.etcd_service,
        "folders": folders,
        "binary": binary,
        "config": settings.config_path,
        "start_check": start_check_path(settings),
        "definition": definition_path,
        "authorities": [told.client_tls.ca, told.peer_tls.ca],
        "wal": wal_folder(settings),
        "formed": not record.empty,
        "unsupported_arch": versions.unsupported_arch(version, versions.release_arch(state.machine)),
        "protect_home": "no"
        if any(folder.startswith(("/home/", "/root/", "/run/user/")) for folder in folders)
        else "yes",
    }
    definition = render(init.template, **values)
    check = render("start-check.sh.j2", **values)
    root = "root:root"
    files = [
        WantedFile(start_check_path(settings), check, "755", root, turn=False),
        WantedFile(definition_path, definition, init.mode, root, turn=True),
        WantedFile(settings.config_path, config, "640", f"root:{settings.etcd_group}", turn=True),
    ]
    return files, {
        "config": _settled(config),
        "definition": hashlib.sha256(definition.encode()).hexdigest(),
        "binary": f"{settings.etcd_prefix}/{version}/etcd",
    }


def _as_pod(
    member: Member, record: Record, version: Version, told: Config, authorities: str
) -> tuple[list[WantedFile], dict[str, str]]:
    """Write the manifest as kubelet shall get it, and what the one in kubelet's folder tells of a running pod."""
    settings = member.settings
    pod = manifest.Pod(
        name=settings.etcd_service,
        image=settings.etcd_image,
        config=told,
        authorities=authorities,
        requests={str(kind): amount for kind, amount in settings.etcd_pod_requests.items()},
        limits={str(kind): amount for kind, amount in settings.etcd_pod_limits.items()},
    )
    text = manifest.render(pod, version)
    check = render(
        "pod-check.sh.j2",
        manifest=settings.manifest_path,
        wanted=settings.config_path,
        wal=wal_folder(settings),
        formed=not record.empty,
        files=[path for tls in (told.client_tls, told.peer_tls) for path in (tls.ca, tls.cert, tls.key)],
    )
    root = "root:root"
    files = [
        WantedFile(start_check_path(settings), check, "755", root, turn=False),
        WantedFile(settings.config_path, text, "600", root, turn=True),
    ]
    settled = hashlib.sha256(manifest.settled_lines(text).encode()).hexdigest()
    return files, {"config": settled}


def _config(
    cluster: Cluster,
    member: Member,
    record: Record,
    authorities: tuple[str, str],
    initial_cluster: Mapping[str, tuple[str, ...]] | None,
) -> Config:
    settings = member.settings
    ca, peer_ca = authorities

    def tls(role: Literal["server", "peer"], authority: str) -> TlsFiles:
        return TlsFiles(
            cert=settings.certificate_path(role, member.name),
            key=settings.certificate_path(f"{role}_key", member.name),
            ca=authority,
        )

    return Config(
        name=member.name,
        data_dir=settings.etcd_data_dir,
        wal_dir=wal_folder(settings) if settings.etcd_wal_dir else None,
        listen_peer_urls=(member.listen_peer_url,),
        listen_client_urls=member.listen_client_urls,
        advertise_peer_urls=(member.peer_url,),
        advertise_client_urls=(member.client_url,),
        initial_cluster=initial_cluster or cluster.initial_cluster,
        token=record.token,
        state="new" if record.empty else "existing",
        client_tls=tls("server", ca),
        peer_tls=tls("peer", peer_ca),
        extra=settings.etcd_config,
    )


def _settled(config: str) -> str:
    lines = [line for line in config.splitlines(keepends=True) if not line.startswith("initial-")]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _profile(cluster: Cluster, member: Member) -> str:
    settings = member.settings
    return render(
        "etcdctl.sh.j2",
        endpoints=cluster.endpoints,
        bin_dir=settings.etcd_bin_dir,
        **{
            kind: settings.certificate_path(path, member.name)
            for kind, path in (("ca", "ca"), ("cert", "client"), ("key", "client_key"))
        },
    )

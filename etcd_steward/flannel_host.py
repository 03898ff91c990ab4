"""What flannel needs on a host, and what of it is missing; without any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from etcd_steward import flannel
from etcd_steward.clients import Bundle
from etcd_steward.docker_unit import Docker
from etcd_steward.flannel_seen import Seen
from etcd_steward.observed import holds
from etcd_steward.platforms import INITS
from etcd_steward.settings import Settings
from etcd_steward.shell import Content
from etcd_steward.templating import render

__all__ = [
    "CONFLIST",
    "DOCKER_DROP_IN",
    "MODULES_FILE",
    "PROGRAMS",
    "SYSCTL_FILE",
    "Wanted",
    "Work",
    "bundle_of",
    "device",
    "managed_paths",
    "port",
    "sysctls",
    "wanted",
    "work",
]

MODULES_FILE = "/etc/modules-load.d/flannel.conf"
SYSCTL_FILE = "/etc/sysctl.d/90-flannel.conf"
CONFLIST = "/etc/cni/net.d/10-flannel.conflist"
# The last one: each drop-in that tells a command replaces those before it, also that of `systemctl edit` (override.conf).
DOCKER_DROP_IN = "/etc/systemd/system/docker.service.d/zz-flannel.conf"
PROGRAMS = ("flanneld", "mk-docker-opts.sh")

_MARK = "# Written by etcd-steward; changes here are overwritten.\n"


def port(settings: Settings) -> int:
    """Give the UDP port of the VXLAN."""
    return settings.etcd_flannel_port or flannel.DEFAULT_PORT


def device(settings: Settings) -> str:
    """Name flannel's device."""
    return f"flannel.{settings.etcd_flannel_vni or flannel.DEFAULT_VNI}"


def sysctls(settings: Settings) -> tuple[str, ...]:
    """List what the kernel must be told to forward packets, as paths below /proc/sys."""
    six = ("net/ipv6/conf/all/forwarding",) if settings.etcd_flannel_ipv6_network else ()
    return ("net/ipv4/ip_forward", *six)


def bundle_of(settings: Settings) -> Bundle:
    """Say which client files flannel gets: a certificate of its own.

    Args:
        settings: the host's settings.

    Returns:
        The bundle; root's, as flanneld is.
    """
    folder = settings.etcd_flannel_cert_dir
    paths = (f"{folder}/{name}" for name in ("ca.pem", "flanneld.pem", "flanneld-key.pem"))
    return Bundle(settings.etcd_flannel_user, *paths)


def managed_paths(settings: Settings) -> list[str]:
    """List every path whose digest decides anything, on all init systems."""
    definitions = [init.definition.format(name=settings.etcd_flannel_service) for init in INITS.values()]
    return [*definitions, MODULES_FILE, SYSCTL_FILE, CONFLIST, DOCKER_DROP_IN, *bundle_of(settings).paths]


@dataclass(frozen=True)
class Wanted:
    """What should lie on a host.

    Args:
        kernel: files that keep modules and forwarding over a reboot.
        definition: the definition of the service.
        glue: what tells the container runtime of the host's part.
        started: what a process that was started with all this has noted.
    """

    kernel: tuple[Content, ...]
    definition: Content
    glue: tuple[Content, ...]
    started: str


def wanted(
    settings: Settings,
    init_name: str,
    endpoints: Sequence[str],
    trusted: str,
    docker: Docker | None = None,
) -> Wanted:
    """Work out what should lie on a host.

    Args:
        settings: the host's settings.
        init_name: its init system.
        endpoints: client URLs of the members.
        trusted: PEM of the authority that the client trusts.
        docker: docker's unit on the host.

    Returns:
        The files.
    """
    init, service = INITS[init_name], settings.etcd_flannel_service
    files = bundle_of(settings)
    definition = init.definition.format(name=service)
    arguments = [
        f"-etcd-endpoints={','.join(endpoints)}",
        f"-etcd-prefix={settings.etcd_flannel_prefix}",
        f"-etcd-cafile={files.ca}",
        f"-etcd-certfile={files.certificate}",
        f"-etcd-keyfile={files.key}",
        "-subnet-file=/run/flannel/subnet.env",
        *([f"-iface={settings.etcd_flannel_iface}"] if settings.etcd_flannel_iface else []),
        *(["-ip-masq"] if settings.etcd_flannel_ip_masq else []),
    ]
    text = render(
        # One template for each init system, named as etcd's own is.
        init.template.replace("etcd.", "flanneld."),
        version=settings.etcd_flannel_version,
        config_sha256=hashlib.sha256(flannel.as_text(flannel.configuration(settings)).encode()).hexdigest(),
        network=settings.etcd_flannel_network,
        definition=definition,
        ca=files.ca,
        certificate=files.certificate,
        service=service,
        command=f"{settings.etcd_flannel_bin_dir}/flanneld",
        bin_dir=settings.etcd_flannel_bin_dir,
        arguments=arguments,
        docker=settings.etcd_flannel_glue == "docker",
    )
    return Wanted(
        kernel=_kernel(settings),
        definition=Content(definition, text, init.mode),
        glue=_glue(settings, docker or Docker()),
        started=hashlib.sha256((text + trusted).encode()).hexdigest(),
    )


def _kernel(settings: Settings) -> tuple[Content, ...]:
    told = "".join(f"{name.replace('/', '.')} = 1\n" for name in sysctls(settings))
    files = [Content(SYSCTL_FILE, _MARK + told)]
    if settings.etcd_flannel_modules:
        modules = "".join(f"{name}\n" for name in settings.etcd_flannel_modules)
        files.append(Content(MODULES_FILE, _MARK + modules))
    return tuple(files)


def _glue(settings: Settings, docker: Docker) -> tuple[Content, ...]:
    if settings.etcd_flannel_glue == "cni":
        return (Content(CONFLIST, render("flannel-cni.conflist.j2")),)
    command = docker.started(settings.etcd_flannel_dockerd)
    # Where there is no docker yet, nobody knows how it will be started: the next run looks again.
    if settings.etcd_flannel_glue == "docker" and command:
        text = render("flannel-docker.conf.j2", service=settings.etcd_flannel_service, command=command)
        return (Content(DOCKER_DROP_IN, text),)
    return ()


@dataclass(frozen=True)
class Work:
    """What one host lacks.

    Args:
        stage: the release has to be put beside others.
        kernel: files about the kernel that differ.
        modules: modules to load.
        sysctls: values to set.
        firewall: the firewall that has to let the port through.
        files: the definition and the glue, where they differ.
        link: the links to the programs have to be moved.
        enable: the service has to be enabled.
        start: it has to be started, or started anew.
    """

    stage: bool = False
    kernel: tuple[Content, ...] = ()
    modules: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    firewall: str = ""
    files: tuple[Content, ...] = ()
    link: bool = False
    enable: bool = False
    start: bool = False

    @property
    def prepare(self) -> bool:
        """Whether kernel or firewall lack anything."""
        return bool(self.kernel or self.modules or self.sysctls or self.firewall)

    @property
    def serve(self) -> bool:
        """Whether the service lacks anything."""
        return bool(self.files or self.link or self.enable or self.start)


def work(
    settings: Settings, seen: Seen, target: Wanted, *, anew: bool = False, renewed: bool = False
) -> Work:
    """Compare a host with what it should have.

    Args:
        settings: its settings.
        seen: what was seen.
        target: what should lie there.
        anew: flanneld has to read the network configuration once more, as it may have read another one.
        renewed: flanneld's certificate is made anew in this run.

    Returns:
        What is left to do.
    """
    files = tuple(
        file for file in (target.definition, *target.glue) if not holds(seen.files.get(file.path), file)
    )
    release = PurePosixPath(settings.etcd_flannel_dir) / settings.etcd_flannel_version
    held = seen.files.get(bundle_of(settings).certificate)
    closed = seen.firewall if settings.etcd_flannel_open_port and not seen.open else ""
    return Work(
        stage=settings.etcd_flannel_version not in seen.releases,
        kernel=tuple(file for file in target.kernel if not holds(seen.files.get(file.path), file)),
        modules=tuple(name for name in settings.etcd_flannel_modules if name not in seen.modules),
        sysctls=tuple(name for name in sysctls(settings) if seen.sysctls.get(name, "0") == "0"),
        firewall=closed,
        files=files,
        link=any(seen.links.get(name) != str(release / name) for name in PROGRAMS),
        enable=not seen.service.enabled,
        start=anew
        or not seen.service.running
        or seen.started != target.started
        # flannel reads its pair only at its start: `newTlsConfig` of its pkg/subnet/etcd/registry.go.
        or renewed
        or (held is not None and held.sha256 != seen.started_pair)
        # It lives in a network that is no longer the configured one.
        or (seen.subnet is not None and not flannel.fits(settings, seen.subnet.subnet)),
    )

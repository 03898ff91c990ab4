"""What differs between distributions, as tables: the only place that knows an init system or a package manager."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = [
    "CONTAINER_RUNTIMES",
    "FIREWALLS",
    "INITS",
    "PACKAGE_MANAGERS",
    "REPOSITORY_FILES",
    "ContainerRuntime",
    "Init",
    "Packages",
    "RepositoryFiles",
    "package_manager",
]


@dataclass(frozen=True)
class Init:
    """How one init system is asked to do things; `{name}` is the service's name.

    Args:
        name: the init system.
        definition: path of the service definition.
        template: name of the template that it is made from.
        mode: file mode of the definition.
        load: makes a changed definition known.
        enable: starts the service at boot.
        disable: stops it and does not start it at boot any more.
        start: starts it without waiting for etcd's quorum.
        stop: stops it and waits.
        logs: prints its last lines.
    """

    name: str
    definition: str
    template: str
    mode: str
    load: str
    enable: str
    disable: str
    start: str
    stop: str
    logs: str


INITS = {
    "systemd": Init(
        name="systemd",
        definition="/etc/systemd/system/{name}.service",
        template="etcd.service.j2",
        mode="644",
        load="systemctl daemon-reload",
        enable="systemctl enable --quiet {name}.service",
        disable="systemctl disable --quiet --now {name}.service; systemctl reset-failed {name}.service 2>/dev/null || true",
        # Type=notify reports success only once the member has a quorum, which a first member cannot have alone.
        start="systemctl reset-failed {name}.service 2>/dev/null || true; systemctl start --no-block {name}.service",
        stop="systemctl stop {name}.service",
        logs="journalctl -u {name} -n 50",
    ),
    "openrc": Init(
        name="openrc",
        definition="/etc/init.d/{name}",
        template="etcd.initd.j2",
        mode="755",
        load=":",
        enable="rc-update --quiet add {name} default",
        disable="if [ -e /etc/runlevels/default/{name} ]; then rc-update --quiet delete {name} default; fi; rc-service --quiet {name} stop",
        start="rc-service --quiet {name} zap >/dev/null 2>&1 || true; rc-service --quiet {name} start",
        stop="rc-service --quiet {name} stop",
        # sudo logs our own commands there too: the tag is compared, not searched.
        logs='awk \'$5 == "{name}:" || $6 == "{name}:"\' /var/log/messages | tail -n 50',
    ),
}


@dataclass(frozen=True)
class ContainerRuntime:
    """What runs the containers of a static pod.

    Args:
        service: its unit.
        program: what tells that it is there.
        socket: where kubelet reaches it.
        config: path of its configuration, or of the part of it that is ours.
        template: name of the template that it is made from.
    """

    service: str
    program: str
    socket: str
    config: str
    template: str


CONTAINER_RUNTIMES = {
    "crio": ContainerRuntime(
        "crio.service",
        "crio",
        "unix:///var/run/crio/crio.sock",
        "/etc/crio/crio.conf.d/20-etcd-steward.conf",
        "crio.conf.j2",
    ),
    "containerd": ContainerRuntime(
        "containerd.service",
        "containerd",
        "unix:///run/containerd/containerd.sock",
        "/etc/containerd/config.toml",
        "containerd.toml.j2",
    ),
}


@dataclass(frozen=True)
class Packages:
    """How one package manager names and runs the time daemon.

    Args:
        name: the package manager, as pyinfra's module of operations is called.
        chrony_config: path of chrony's configuration.
        chrony_service: name of chrony's service.
    """

    name: str
    chrony_config: str
    chrony_service: str


PACKAGE_MANAGERS = {
    "alpine": Packages("apk", "/etc/chrony/chrony.conf", "chronyd"),
    "debian": Packages("apt", "/etc/chrony/chrony.conf", "chrony"),
    "rhel": Packages("dnf", "/etc/chrony.conf", "chronyd"),
}

# How an active firewall is told to let a UDP port through, now and after a reboot.
FIREWALLS = {
    "firewalld": "firewall-cmd --quiet --permanent --add-port={port}/udp && firewall-cmd --quiet --add-port={port}/udp",
    "ufw": "ufw allow {port}/udp >/dev/null",
}


@dataclass(frozen=True)
class RepositoryFiles:
    """How one package manager is told of a repository such as `pkgs.k8s.io` (its documentation, per minor version).

    `{name}` is the repository's name.

    Args:
        definition: path of the repository's definition on the host.
        template: name of the template that it is made from.
        folder: the repository's folder below that of the minor version.
        key: path of its key on the host; empty where the package manager fetches it.
        package: how a release of a package is asked for.
        hold: keeps packages from being upgraded with the system; empty where the definition does.
    """

    definition: str
    template: str
    folder: str
    key: str
    package: str
    hold: str

    def named(self, name: str) -> RepositoryFiles:
        """Give the paths of one repository.

        Args:
            name: the repository's name.
        """
        return replace(self, definition=self.definition.format(name=name), key=self.key.format(name=name))


REPOSITORY_FILES = {
    "apt": RepositoryFiles(
        definition="/etc/apt/sources.list.d/{name}.list",
        template="repository.list.j2",
        folder="deb",
        # As it comes: with this ending apt reads a key that is no binary.
        key="/etc/apt/keyrings/{name}-apt-keyring.asc",
        package="{name}={version}-*",
        hold="apt-mark hold {names}",
    ),
    "dnf": RepositoryFiles(
        definition="/etc/yum.repos.d/{name}.repo",
        template="repository.repo.j2",
        folder="rpm",
        key="",
        package="{name}-{version}",
        hold="",
    ),
}

_FAMILIES = {
    "alpine": "alpine",
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
}


def package_manager(os_id: str, os_like: str) -> Packages | None:
    """Choose the package manager of a distribution.

    Args:
        os_id: ID of /etc/os-release.
        os_like: ID_LIKE of /etc/os-release, words separated by spaces.

    Returns:
        The package manager's table, or None for a distribution that has none here.
    """
    for word in (os_id, *os_like.split()):
        if word in _FAMILIES:
            return PACKAGE_MANAGERS[_FAMILIES[word]]
    return None

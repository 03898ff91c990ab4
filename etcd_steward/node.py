"""What a host needs before a kubelet can run static pods on it, and what of it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etcd_steward.desired import WantedFile
from etcd_steward.errors import Complaint
from etcd_steward.kubelet import PATH, release_path
from etcd_steward.neighbours import named, read, sorted_before
from etcd_steward.platforms import CONTAINER_RUNTIMES, REPOSITORY_FILES, package_manager
from etcd_steward.repositories import Repository, crio, kubernetes
from etcd_steward.runtimes import start_check_path
from etcd_steward.templating import render

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.settings import Settings
    from etcd_steward.topology import Member

__all__ = [
    "MODULES",
    "SYSCTLS",
    "Lack",
    "complaints",
    "lacking",
    "node_files",
    "node_packages",
    "node_paths",
    "repositories",
]

KUBELET_CONFIG = "/etc/kubernetes/kubelet-etcd.yaml"
_DROP_IN = "/etc/systemd/system/kubelet.service.d"

MODULES = ("overlay", "br_netfilter")
SYSCTLS = {
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.ipv4.ip_forward": "1",
}


def repositories(settings: Settings) -> list[Repository]:
    """List the repositories of a host's Kubernetes version, from which packages may come; those of other minor versions are others.

    Args:
        settings: the host's settings.
    """
    minor = settings.etcd_kubernetes_version
    kubelet = "set etcd_kubernetes_repository to a mirror, or etcd_kubelet_version with etcd_kubelet_mirror"
    runtime = 'set etcd_crio_version with etcd_crio_mirror, or etcd_container_runtime = "containerd"'
    return [kubernetes(minor, settings.etcd_kubernetes_repository, kubelet), crio(minor, runtime)]


def node_packages(lack: Lack, manager: str) -> list[str]:
    """List the packages that bring what is missing, and with it crictl.

    Args:
        lack: what the host lacks.
        manager: the package manager.

    Returns:
        Names of packages.
    """
    packages = ["kubelet", "cri-tools"] if "kubelet" in lack.programs else []
    if "crio" in lack.programs:
        packages += ["container-selinux", "cri-o"] if manager == "dnf" else ["cri-o"]
    if "containerd" in lack.programs:
        packages.append("containerd")
    return packages


@dataclass(frozen=True)
class Lack:
    """What one host lacks.

    Args:
        programs: those that are missing, and with them their packages.
        kubelet: where the release of kubelet lies that is wanted, while another or none is linked.
        bundle: the release of CRI-O whose bundle is wanted, while it has not been installed.
        files: files that differ.
        swap: swap has to be switched off, or to be kept off.
        modules: kernel modules that are not loaded.
        sysctls: kernel settings that differ.
        units: units that are not enabled, do not run, or run with older files.
    """

    programs: tuple[str, ...] = ()
    kubelet: str = ""
    bundle: str = ""
    files: tuple[WantedFile, ...] = ()
    swap: bool = False
    modules: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    units: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether the host lacks anything."""
        return bool(self.told())

    def told(self) -> list[str]:
        """Say it in words."""
        return [
            *self.programs,
            *([self.kubelet] if self.kubelet else []),
            *([f"cri-o {self.bundle}"] if self.bundle else []),
            *(file.path for file in self.files),
            *(["swap"] if self.swap else []),
            *self.modules,
            *self.sysctls,
            *self.units,
        ]


def node_files(settings: Settings, state: HostState) -> list[WantedFile]:
    """Write what lies on a host so that kubelet and container runtime agree.

    Args:
        settings: the host's settings.
        state: what the probe told of it.

    Returns:
        The files.
    """
    host = CONTAINER_RUNTIMES[settings.etcd_container_runtime]
    values: dict[str, Any] = {
        "socket": host.socket,
        "service": host.service,
        "manifests": settings.etcd_manifest_dir,
        "kubelet": KUBELET_CONFIG,
        "program": _kubelet_program(settings, state),
        "check": start_check_path(settings),
        "pause": settings.etcd_pause_image,
        "fail_cgroup_v1": settings.etcd_fail_cgroup_v1,
        "modules": MODULES,
        "sysctls": SYSCTLS,
    }
    values["cni_bin_dir"] = _cni_bin_dir(state)
    values["config_version"] = _containerd_config(state, host.config, values)
    paths = {
        KUBELET_CONFIG: "kubelet.yaml.j2",
        f"{_DROP_IN}/20-etcd-service-manager.conf": "kubelet-drop-in.conf.j2",
        f"{_DROP_IN}/30-etcd-steward.conf": "kubelet-check.conf.j2",
        "/etc/modules-load.d/k8s.conf": "modules.conf.j2",
        "/etc/sysctl.d/k8s.conf": "sysctl.conf.j2",
        "/etc/crictl.yaml": "crictl.yaml.j2",
        host.config: host.template,
    }
    if "kubelet.service" not in state.node.get("packaged-unit", ()) and not _arriving(settings, state):
        paths["/etc/systemd/system/kubelet.service"] = "kubelet.service.j2"
    return [
        WantedFile(path, render(template, **values), "644", "root:root", turn=False)
        for path, template in paths.items()
    ]


def _containerd_config(state: HostState, path: str, values: Mapping[str, Any]) -> int:
    """Choose the version of containerd's configuration: 2.0 and later take both, older ones only the second."""
    (told,) = state.node.get("containerd", ("",))[:1]
    if told in {"", "none"} or told.lstrip("v").startswith("1."):
        return 2
    # One that was written before containerd was there is as good.
    earlier = render("containerd.toml.j2", **{**values, "config_version": 2})
    return 2 if WantedFile(path, earlier, "644", "root:root", turn=False).lies_on(state) else 3


def _cni_bin_dir(state: HostState) -> str:
    """Say where Debian's own containerd has CNI plugins, as the file of its package says that ours replaces.

    Looked up in 1.6.20, 1.7.24 and 2.1.9; with the third version of the configuration the last has both folders of itself.
    """
    comes = "containerd" not in state.node.get("program", ())
    return "/usr/lib/cni" if state.os_id == "debian" and (comes or "packaged-config" in state.node) else ""


def _kubelet_program(settings: Settings, state: HostState) -> str:
    """Say where kubelet lies or will lie: what replaces the command of an installed unit must name what is there."""
    (found,) = state.node.get("kubelet-at", ("",))[:1]
    return PATH if release_path(settings) or not found else found


def _arriving(settings: Settings, state: HostState) -> bool:
    packaged = settings.etcd_node_packages == "repositories" and not settings.etcd_kubelet_version
    return packaged and "kubelet" not in state.node.get("program", ())


def node_paths() -> list[str]:
    """List the paths of all that on all container runtimes, for the probe."""
    return [
        KUBELET_CONFIG,
        f"{_DROP_IN}/20-etcd-service-manager.conf",
        f"{_DROP_IN}/30-etcd-steward.conf",
        "/etc/modules-load.d/k8s.conf",
        "/etc/sysctl.d/k8s.conf",
        "/etc/crictl.yaml",
        *(host.config for host in CONTAINER_RUNTIMES.values()),
        "/etc/systemd/system/kubelet.service",
    ]


def lacking(settings: Settings, state: HostState) -> Lack:
    """Compare a host with what static pods need.

    Args:
        settings: the host's settings.
        state: what the probe told of it.

    Returns:
        What is missing; nothing for members that are services.
    """
    if not settings.pod or not state.reached or state.uid != 0:
        return Lack()
    host = CONTAINER_RUNTIMES[settings.etcd_container_runtime]
    node = state.node
    wanted = node_files(settings, state)
    units = (host.service, "kubelet.service")
    kubelet = release_path(settings)
    bundle = settings.etcd_crio_version if settings.etcd_container_runtime == "crio" else None
    programs = [*([] if kubelet else ["kubelet"]), *([] if bundle else [host.program])]
    missing = tuple(name for name in programs if name not in node.get("program", ()))
    bundle_due = bundle if bundle and bundle not in node.get("bundle", ()) else ""
    return Lack(
        programs=missing,
        kubelet="" if node.get("kubelet", ("",))[0] == kubelet else kubelet,
        bundle=bundle_due,
        # What comes from elsewhere may bring files of the same names, over those that lie there now.
        files=tuple(file for file in wanted if bundle_due or missing or not file.lies_on(state)),
        swap="swap" in node,
        modules=tuple(name for name in MODULES if name not in node.get("module", ())),
        sysctls={
            key: value for key, value in SYSCTLS.items() if f"{key}={value}" not in node.get("sysctl", ())
        },
        units=tuple(unit for unit in units if unit not in node.get("unit", ())),
    )


def complaints(member: Member, state: HostState) -> list[Complaint]:
    """Say what forbids static pods on a host.

    Args:
        member: the host's member.
        state: what the probe told of it.
    """
    settings = member.settings
    if not settings.pod or not state.reached:
        return []
    found = []
    if state.init == "openrc":
        text = "systemd, under which kubelet runs"
        found.append(Complaint(member.host, "OpenRC", text, 'set etcd_runtime = "service"'))
    found += _moved(member, state)
    found += _somebodys(member, state)
    found += _outvoted(member, state)
    missing = lacking(settings, state).programs
    packages = package_manager(state.os_id, state.os_like)
    by_hand = f"install {' and '.join(missing)} by hand, then run again"
    if missing and settings.etcd_node_packages == "present":
        found.append(Complaint(member.host, f"no {', no '.join(missing)}", "both there", by_hand))
    elif missing and (packages is None or packages.name not in REPOSITORY_FILES):
        name = state.os_name or "an unknown system"
        found.append(Complaint(member.host, name, "one with apt or dnf, to install kubelet", by_hand))
    elif "containerd" in missing and packages is not None and packages.name == "dnf":
        text = "it there, as this distribution has no package of that name"
        found.append(
            Complaint(
                member.host, "no containerd", text, f'{by_hand}; or set etcd_container_runtime = "crio"'
            )
        )
    if settings.etcd_fail_cgroup_v1 and "v1" in state.node.get("cgroup", ()):
        found.append(
            Complaint(
                member.host,
                "cgroup v1, on which kubelet does not start since 1.35",
                "cgroup v2",
                "boot with systemd.unified_cgroup_hierarchy=1, or set etcd_fail_cgroup_v1 = False",
            )
        )
    return found


def _somebodys(member: Member, state: HostState) -> list[Complaint]:
    """Find a configuration of the container runtime that ours would take the place of, with all that others have in it."""
    path = CONTAINER_RUNTIMES[member.settings.etcd_container_runtime].config
    found = []
    for one in read(state.node.get("beside", ())):
        # What stands at the top counts for all containers, and is told first.
        keys = sorted((key.replace('"', "") for key in one.keys if key != "version"), key=_depth)
        if one.path != path or (one.known and not keys):
            continue
        found.append(
            Complaint(
                member.host,
                f"{path} of somebody else ({named(keys) or 'it cannot be read'})",
                "none, or the one of containerd's package, as ours takes its place for all containers of this host",
                "carry what is wanted over into /etc/containerd/conf.d/*.toml, mirrors into /etc/containerd/certs.d, then "
                f"`mv {path} {path}.before` on this host",
            )
        )
    return found


def _outvoted(member: Member, state: HostState) -> list[Complaint]:
    """Find drop-ins of the container runtime that are read after ours and keep cgroups in another way than kubelet does."""
    ours = CONTAINER_RUNTIMES[member.settings.etcd_container_runtime].config
    return [
        Complaint(
            member.host,
            f'cgroup_manager = "cgroupfs" in {path}, which is read after {ours}',
            "systemd, by way of which kubelet keeps cgroups",
            f"take it out of {path}, then `systemctl restart crio` on this host",
        )
        for path in state.node.get("cgroupfs", ())
        if path not in sorted_before([path], ours)
    ]


def _depth(key: str) -> tuple[bool, str]:
    return key.startswith(("plugins.", "'")), key


def _moved(member: Member, state: HostState) -> list[Complaint]:
    """Find what would let kubelet stop or double a running member outside its turn, on all hosts at once."""
    settings = member.settings
    if not any(one.config == settings.process_mark for one in state.processes):
        return []
    others = [
        name
        for name, host in CONTAINER_RUNTIMES.items()
        if name != settings.etcd_container_runtime
        and host.config in state.files
        and state.files[host.config].ours
    ]
    found = [
        Complaint(
            member.host,
            f"a pod that runs in {name}",
            f"none there while etcd_container_runtime is {settings.etcd_container_runtime}",
            f"set it back to {name}; to change it, remove this member, let it join again on a new host",
        )
        for name in others
    ]
    if not state.service.definition:
        found.append(
            Complaint(
                member.host,
                f"etcd (process {state.processes[0].pid}) running, and no {settings.manifest_path}",
                "the manifest that it runs from there",
                "set etcd_manifest_dir or etcd_service back; or wait until kubelet has stopped it, then run again",
            )
        )
    return found

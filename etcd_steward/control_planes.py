"""The control planes in front of one cluster in one run: looked at once, judged together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_steward import binaries, kubeadm, versions
from etcd_steward.clients import Bundle
from etcd_steward.errors import Complaint
from etcd_steward.fleet import answers, disagreements, kubernetes_keys, same_names
from etcd_steward.kubernetes_look import CONFIG, DROP_IN, LOG, UNIT, Look, question
from etcd_steward.observed import holds
from etcd_steward.platforms import REPOSITORY_FILES
from etcd_steward.repositories import Repository, kubernetes
from etcd_steward.shell import Content
from etcd_steward.templating import render

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.clients import ClientRun
    from etcd_steward.downloads import Archive
    from etcd_steward.settings import Settings

__all__ = ["BUNDLE", "ControlPlanes"]

BUNDLE = Bundle(kubeadm.COMMON_NAME, kubeadm.CA, kubeadm.CERTIFICATE, kubeadm.KEY)

# On which all control planes of one Kubernetes must agree.
SHARED = ("etcd_kubernetes_release", "etcd_kubernetes_endpoint")


@dataclass
class ControlPlanes:
    """The control planes in front of one cluster.

    Args:
        client: the cluster, as any of them sees it.
        settings: of every control plane, in the inventory's order.
        looks: what the looks told of those that this run works on.
        keys: keys of a Kubernetes in the cluster.
    """

    client: ClientRun
    settings: Mapping[str, Settings]
    looks: Mapping[str, Look]
    keys: list[str]

    def __repr__(self) -> str:
        return f"ControlPlanes({self.client.run.name!r})"

    @classmethod
    def look(
        cls, host: Host, client: ClientRun, settings: Mapping[str, Settings]
    ) -> tuple[ControlPlanes, list[Complaint]]:
        """Look at all control planes side by side.

        Args:
            host: one of them.
            client: the cluster.
            settings: of every control plane.

        Returns:
            The control planes, and what speaks against the run.
        """
        told = answers(host, client, settings, question)
        keys, complaints = kubernetes_keys(client)
        planes = cls(client, settings, {name: Look.read(lines) for name, lines in told.items()}, keys)
        return planes, complaints or planes._complaints()

    @property
    def first(self) -> str:
        """Inventory name of the control plane that kubeadm makes; the others join it."""
        return next(iter(self.settings))

    def how(self, name: str) -> str:
        """Say how kubeadm, kubectl and kubelet come onto a host: `repository`, `binaries` or `present`."""
        return self.settings[name].etcd_kubernetes_install

    def release(self, name: str) -> str:
        """The release of Kubernetes on a host."""
        return str(self.settings[name].etcd_kubernetes_release)

    def obtain(self, host: Host, tool: str) -> partial[Archive]:
        """Return what fetches a tool for a host."""
        own = self.settings[host.name]
        arch = versions.release_arch(self.looks[host.name].machine)
        wanted = kubeadm.program(tool, self.release(host.name), arch, own.etcd_kubernetes_mirror)
        digest = next((sum_ for name, sum_ in own.etcd_kubernetes_sha256.items() if name == tool), None)
        return partial(
            binaries.obtain,
            wanted,
            digest,
            Path(own.etcd_cache_dir).expanduser(),
            host.log,
            known_only=own.etcd_require_digest,
        )

    def repository(self, name: str) -> Repository:
        """Say where a host's packages come from.

        Args:
            name: the host.
        """
        minor = ".".join(map(str, kubeadm.release_line(self.release(name))))
        cure = 'correct etcd_kubernetes_release or etcd_kubernetes_repository, or set etcd_kubernetes_install = "binaries"'
        return kubernetes(minor, self.settings[name].etcd_kubernetes_repository, cure)

    def shares(self, name: str) -> str:
        """Name the control plane before a host that has the same pair: `kubeadm join` copies that of the first.

        Args:
            name: the host.

        Returns:
            The other's name; empty where the host has a pair of its own.
        """
        own = self.looks[name].files.get(kubeadm.CERTIFICATE)
        earlier = itertools.takewhile(lambda other: other != name, self.settings)
        return next(
            (
                other
                for other in earlier
                if own is not None
                and other in self.looks
                and own.sha256 == getattr(self.looks[other].files.get(kubeadm.CERTIFICATE), "sha256", None)
            ),
            "",
        )

    def service(self, name: str) -> list[Content]:
        """Write kubelet's service, which a program alone does not bring as its package does.

        Args:
            name: the host.

        Returns:
            Its files; none where kubelet is not ours.
        """
        prefix = f"{self.settings[name].etcd_kubernetes_prefix}/"
        if self.how(name) != "binaries" or not self.looks[name].at.get("kubelet", prefix).startswith(prefix):
            return []
        program = "/usr/local/bin/kubelet"
        return [
            Content(UNIT, render("kubelet.service.j2", program=program)),
            Content(DROP_IN, render("kubelet-kubeadm.conf.j2", program=program)),
        ]

    def config(self) -> Content:
        """Write what `kubeadm init` reads on the first control plane."""
        own = self.settings[self.first]
        plane = kubeadm.ControlPlane(
            version=self.release(self.first),
            endpoint=str(own.etcd_kubernetes_endpoint),
            etcd=self.client.endpoints,
            cert_sans=own.etcd_kubernetes_cert_sans,
            pod_subnet=own.etcd_kubernetes_pod_subnet,
            service_subnet=own.etcd_kubernetes_service_subnet or "",
            node_name=own.etcd_kubernetes_node_name or "",
            advertise_address=own.etcd_kubernetes_advertise_address or "",
            cri_socket=f"unix://{own.etcd_kubernetes_cri_socket}" if own.etcd_kubernetes_cri_socket else "",
            more=own.etcd_kubernetes_config,
            fail_cgroup_v1=own.etcd_fail_cgroup_v1,
        )
        return Content(CONFIG, kubeadm.config(plane), "600")

    def lacking(self, name: str, files: list[Content]) -> list[Content]:
        """List those of some files that a host lacks, or that differ there."""
        found = self.looks[name].files
        return [file for file in files if not holds(found.get(file.path), file)]

    def _complaints(self) -> list[Complaint]:
        complaints = disagreements(self.settings, SHARED)
        for name, look in self.looks.items():
            complaints += self._against(name, look)
        names = {name: self._node_name(name) for name in self.looks}
        complaints += same_names(names, "Kubernetes", "set its etcd_kubernetes_node_name")
        version, release = self.client.version, self.settings[self.first].etcd_kubernetes_release
        if version is not None and release is not None:
            reason = kubeadm.judge_etcd(release, version)
            complaints += [Complaint(self.client.run.name, *reason)] if reason else []
        if any(key.startswith("/bootstrap/") for key in self.keys):
            complaints.append(
                Complaint(
                    self.client.run.name,
                    "keys of k3s (/bootstrap)",
                    "a cluster for this Kubernetes alone, as both would write under /registry",
                    "make another cluster, with an etcd_cluster and hosts of its own",
                )
            )
        elif self.keys and self.initialises and not self.looks[self.first].admin:
            complaints.append(
                Complaint(
                    self.client.run.name,
                    f"keys of a Kubernetes (/registry), and none on {self.first}",
                    "an empty cluster for `kubeadm init`",
                    "leave etcd_kubernetes_init away if that Kubernetes is wanted, or make another cluster",
                )
            )
        return complaints

    def _node_name(self, name: str) -> str:
        """Tell by which name kubeadm has made a node of a host, or will."""
        look, given = self.looks[name], self.settings[name].etcd_kubernetes_node_name
        # Only the first one's goes into a file; the others join by hand, where one for all would be of no use.
        meant = (
            given
            if name == self.first or given != self.settings[self.first].etcd_kubernetes_node_name
            else None
        )
        return look.node_name or (look.hostname if look.admin else meant or look.hostname)

    @property
    def initialises(self) -> bool:
        """Whether `kubeadm init` is asked for, and its host is worked on."""
        return self.settings[self.first].etcd_kubernetes_init and self.first in self.looks

    def _against(self, name: str, look: Look) -> list[Complaint]:
        if not look.whole:
            return [
                Complaint(
                    name,
                    "no answer",
                    "every control plane within reach",
                    "bring it back, or leave it out with --limit",
                )
            ]
        own = self.settings[name]
        told = [
            (f"no {key}", "the same on all control planes", f"set it, such as {example}")
            for key, example in zip(SHARED, ("v1.37.2", "10.107.88.9:6443"), strict=True)
            if getattr(own, key) is None
        ]
        if look.machine not in versions.SUPPORTED_ARCHES:
            told.append(
                (
                    f"the machine {look.machine}",
                    "one that Kubernetes has a release for",
                    "leave it out of the group",
                )
            )
        if look.missing:
            told += self._cannot_install(look, own)
        told += self._tools_against(look, own)
        if name == self.first and look.admin and look.log == "cut":
            told.append(
                (
                    f"a `kubeadm init` that was begun and has not ended well ({LOG})",
                    "one that has",
                    "look into that file, then run `kubeadm reset` there by hand, or repair it and remove the file",
                )
            )
        return [Complaint(name, *one) for one in told]

    def _cannot_install(self, look: Look, own: Settings) -> list[tuple[str, str, str]]:
        name = look.os.get("PRETTY_NAME", "an unknown system")
        match own.etcd_kubernetes_install:
            case "present":
                return [
                    (
                        f"no {', '.join(look.missing)}",
                        "all three tools",
                        "install them, or set etcd_kubernetes_install",
                    )
                ]
            case "repository" if look.packages is None or look.packages.name not in REPOSITORY_FILES:
                return [
                    (
                        name,
                        "apt or dnf, for which Kubernetes has packages",
                        "install them, and set etcd_kubernetes_install to present",
                    )
                ]
            case "binaries" if look.init != "systemd":
                return [
                    (
                        f"{name} without systemd",
                        "systemd, which starts kubelet",
                        "set etcd_kubernetes_install to present",
                    )
                ]
        return []

    def _tools_against(self, look: Look, own: Settings) -> list[tuple[str, str, str]]:
        found, wanted = look.tools.get("kubeadm"), own.etcd_kubernetes_release
        if (
            found
            and wanted
            and not look.admin
            and kubeadm.release_line(found) != kubeadm.release_line(wanted)
        ):
            return [
                (
                    f"kubeadm {found}",
                    f"one of the line of {wanted}",
                    "install that one, or set etcd_kubernetes_release",
                )
            ]
        return []

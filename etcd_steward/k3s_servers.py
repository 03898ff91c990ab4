"""The k3s servers of one cluster in one run: looked at once, judged together, each with what is left to do on it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_steward import binaries, k3s, versions
from etcd_steward.credentials import pki_folder
from etcd_steward.errors import Complaint
from etcd_steward.fleet import answers, disagreements, kubernetes_keys, member_address, same_names
from etcd_steward.k3s_look import CONFIG, LOGROTATE, NOTE, Look, bundle_of, question, reads
from etcd_steward.neighbours import k3s_option, named, overriding
from etcd_steward.observed import holds
from etcd_steward.platforms import INITS
from etcd_steward.secret_files import keep_secret, read_secret
from etcd_steward.shell import Content, Script, script
from etcd_steward.templating import render

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.clients import ClientRun
    from etcd_steward.downloads import Archive
    from etcd_steward.settings import Settings

__all__ = ["Servers"]


@dataclass
class Servers:
    """The k3s servers of one cluster.

    Args:
        client: the cluster, as any of them sees it.
        settings: of every server, in the inventory's order.
        looks: what the looks told of those that this run works on.
        keys: keys of a Kubernetes in the cluster.
    """

    client: ClientRun
    settings: Mapping[str, Settings]
    looks: Mapping[str, Look]
    keys: list[str]

    def __repr__(self) -> str:
        return f"Servers({self.client.run.name!r})"

    @classmethod
    def look(
        cls, host: Host, client: ClientRun, settings: Mapping[str, Settings]
    ) -> tuple[Servers, list[Complaint]]:
        """Look at all servers side by side.

        Args:
            host: one of them.
            client: the cluster.
            settings: of every server.

        Returns:
            The servers, and what speaks against the run.
        """
        told = answers(host, client, settings, question)
        keys, complaints = kubernetes_keys(client)
        servers = cls(client, settings, {name: Look.read(lines) for name, lines in told.items()}, keys)
        return servers, complaints or servers._complaints()

    @property
    def token_file(self) -> Path:
        """Where the controller keeps a token that it made."""
        return pki_folder(self.client.sight.cluster.settings) / "k3s-token"

    def token(self) -> str | None:
        """The token that is given, or was made; None where it is still to be made.

        Raises:
            ValueError: its file must not be used.
        """
        given = next(iter(self.settings.values())).etcd_k3s_token
        return given if given is not None else read_secret(self.token_file)

    def made_token(self) -> str:
        """The token, made and kept now where there is none."""
        return self.token() or keep_secret(self.token_file)

    def program(self, host: str) -> str:
        """Path by which k3s is called on a host."""
        return f"{self.settings[host].etcd_k3s_bin_dir}/k3s"

    def release_path(self, host: str) -> str:
        """Path of the release that a host shall run."""
        own = self.settings[host]
        return f"{own.etcd_k3s_prefix}/{own.etcd_k3s_version}/k3s"

    def obtain(self, host: Host) -> partial[Archive]:
        """Return what fetches the program for a host."""
        own = self.settings[host.name]
        arch = versions.release_arch(self.looks[host.name].machine)
        wanted = k3s.program(str(own.etcd_k3s_version), arch, own.etcd_k3s_mirror)
        cache = Path(own.etcd_cache_dir).expanduser()
        return partial(
            binaries.obtain, wanted, own.etcd_k3s_sha256, cache, host.log, known_only=own.etcd_require_digest
        )

    def files(self, host: str, token: str) -> list[Content]:
        """Write what lies on a server besides its certificates.

        Args:
            host: its inventory name.
            token: the servers' token.
        """
        own, look = self.settings[host], self.looks[host]
        init, cluster = INITS[look.init], self.client.sight.cluster
        service = own.etcd_service if host in self.client.run.hosts else ""
        unit = render(
            f"k3s.{init.template.partition('.')[2]}",
            cluster=cluster.name,
            program=self.program(host),
            noting=NOTE,
            after=f"{service}.service" if service and init.name == "systemd" else service,
        )
        note = self.noted(host) + ""
        files = [
            Content(CONFIG, k3s.config(self._server(host, token)), "600"),
            Content(NOTE, f"{note}\n" if not note.endswith("\n") else note),
            Content(init.definition.format(name="k3s"), unit, init.mode),
        ]
        if init.name == "openrc":
            files.append(Content(LOGROTATE, render("k3s.logrotate.j2")))
        return files

    def _server(self, host: str, token: str) -> k3s.Server:
        own = self.settings[host]
        bundle = bundle_of(own)
        return k3s.Server(
            self.client.endpoints,
            bundle.ca,
            bundle.certificate,
            bundle.key,
            token,
            own.etcd_k3s_tls_san,
            own.etcd_k3s_node_ip or member_address(self.client, host),
            own.etcd_k3s_config,
        )

    def noted(self, host: str) -> Script:
        """Write the script that notes what k3s is started with."""
        return script("k3s-noted.sh", "k3s-note.sh", **reads(self.settings[host]))

    def due(self, host: str) -> list[Content]:
        """List the files that a server lacks or that differ; without a token all that hold none."""
        token = self.token()
        found = self.looks[host].files
        return [
            file
            for file in self.files(host, token or "")
            if (token is None and file.path == CONFIG) or not holds(found.get(file.path), file)
        ]

    def left(self, host: str) -> list[str]:
        """Name what is left to do on a server; empty where it is as it should be and ready."""
        look = self.looks[host]
        left = [file.path for file in self.due(host)]
        if look.link != self.release_path(host):
            left.append("another release" if look.link else "its release")
        if "enabled" not in look.service:
            left.append("start at boot")
        if "active" not in look.service:
            left.append("start")
        elif (
            look.started != look.disk
            or f"{self._authority()} {bundle_of(self.settings[host]).ca}" not in look.disk
        ):
            left.append("restart")
        elif not left and not look.ready:
            left.append("wait until it is ready")
        return left

    def _authority(self) -> str:
        return hashlib.sha256(self.client.trusted().encode()).hexdigest()

    def _complaints(self) -> list[Complaint]:
        complaints = disagreements(self.settings, ("etcd_k3s_token",))
        for name, look in self.looks.items():
            complaints += self._against(name, look)
        names = {name: self._node_name(name) for name in self.looks}
        complaints += same_names(names, "k3s", "set node-name in its etcd_k3s_config")
        try:
            token = self.token()
        except (OSError, ValueError) as error:
            return [
                *complaints,
                Complaint.of("the controller", error, "the token of the k3s servers", "see docs/k3s.md"),
            ]
        reason = k3s.reason_against_sharing(self.keys, token)
        if reason is not None:
            complaints.append(Complaint(self.client.run.name, *reason))
        elif token is None:
            complaints += [
                Complaint(
                    name,
                    f"a token in {CONFIG}, and none here",
                    "the same token on all servers",
                    "copy k3s-token into the cluster's folder of etcd_pki_dir, or set etcd_k3s_token",
                )
                for name, look in self.looks.items()
                if look.token
            ]
        return complaints

    def _node_name(self, name: str) -> str:
        """Tell by which name k3s makes a node of a host; empty where it makes one up that no other has."""
        look, own = self.looks[name], self.settings[name].etcd_k3s_config
        if "with-node-id" in own or any("with-node-id" in one.keys for one in look.neighbours):
            return ""
        return str(own.get("node-name") or look.node_name or look.hostname)

    def _beside(self, name: str, look: Look) -> list[tuple[str, str, str]]:
        """Complain of what k3s takes from elsewhere though we write it: that would win, or stand against it."""
        ours = {*k3s.values(self._server(name, "")), *k3s.LEADING}
        told = [
            (
                f"{named(keys)} in {one.path}, which k3s reads as well",
                f"what leads k3s in {CONFIG} alone, as otherwise its data may go elsewhere",
                f"take it out there, or `{_away(one.path)}` on this host; keys of your own go into etcd_k3s_config",
            )
            for one, keys in overriding(look.neighbours, ours, k3s_option)
        ]
        told += [
            (
                f"{one.path}, which k3s reads as well, and no way to tell its keys",
                "a file with each key on a line of its own, as any of them may lead k3s elsewhere",
                f"write it so, or `{_away(one.path)}` on this host",
            )
            for one in look.neighbours
            if not one.known
        ]
        return told

    def _against(self, name: str, look: Look) -> list[Complaint]:
        own = self.settings[name]
        if not look.whole:
            return [
                Complaint(
                    name,
                    "no answer",
                    "every k3s server within reach",
                    "bring it back, or leave it out with --limit",
                )
            ]
        told: list[tuple[str, str, str]] = []
        if own.etcd_k3s_version is None:
            told.append(
                ("no etcd_k3s_version", "the release of k3s to install", "set it, such as v1.37.1+k3s1")
            )
        if look.init not in INITS:
            told.append(("neither systemd nor OpenRC running", "one of them", "boot the host with it"))
        if k3s.SUFFIXES.keys().isdisjoint([_arch(look.machine)]):
            told.append(
                (f"the machine {look.machine}", "one that k3s has a release for", "leave it out of the group")
            )
        told += [
            (
                f"a k3s that keeps its data itself ({path})",
                "a server that has none yet",
                "move that aside, if nothing in it is wanted",
            )
            for path in look.data
        ]
        told += self._beside(name, look)
        before = look.link.removeprefix(f"{own.etcd_k3s_prefix}/").partition("/")[0]
        if own.etcd_k3s_version and look.link.startswith(f"{own.etcd_k3s_prefix}/"):
            was, to = k3s.release_line(before), k3s.release_line(own.etcd_k3s_version)
            if not was <= to <= (was[0], was[1] + 1):
                told.append(
                    (
                        f"k3s {before} and etcd_k3s_version {own.etcd_k3s_version}",
                        "the same or the next minor version",
                        "go one minor version at a time",
                    )
                )
        return [Complaint(name, *one) for one in told]


def _away(path: str) -> str:
    return f"mv {shlex.quote(path)} {shlex.quote(f'{path}.off')}"


def _arch(machine: str) -> str:
    try:
        return versions.release_arch(machine)
    except ValueError:
        return ""

"""One run of flannel over the hosts of one network: looked at once, judged, and shared by all its operations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from pyinfra import logger

from etcd_steward import binaries, flannel, flannel_host, versions
from etcd_steward.clients import ClientRun, client_run
from etcd_steward.clusters import clients_of
from etcd_steward.docker_unit import config_file, program_of
from etcd_steward.flannel_judging import complaints, notes
from etcd_steward.flannel_leases import Keys, read_keys
from etcd_steward.flannel_seen import Seen, parse_look
from etcd_steward.run import refuse
from etcd_steward.shell import Script, script
from etcd_steward.talk import ask, ctl, seek

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyinfra.api import Host

    from etcd_steward.downloads import Archive
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.settings import Settings

__all__ = ["FlannelRun", "flannel_hosts", "flannel_run", "keys_in_etcd", "look_at_hosts"]

_UPSTREAM = "https://github.com/flannel-io/flannel/releases/download"


@dataclass(frozen=True)
class FlannelRun:
    """What one run knows of one network.

    Args:
        client: the cluster, as a client sees it.
        settings: the hosts of the network, and their settings.
        seen: what the look at each of them told.
        keys: what was in etcd.
        wanted: what should lie on each host that was reached.
        works: what each of them lacks.
    """

    client: ClientRun
    settings: Mapping[str, Settings]
    seen: Mapping[str, Seen]
    keys: Keys
    wanted: Mapping[str, flannel_host.Wanted]
    works: Mapping[str, flannel_host.Work]

    def __repr__(self) -> str:
        return f"FlannelRun({self.run.name!r})"

    @property
    def run(self) -> ClusterRun:
        """The run of the cluster."""
        return self.client.run

    @property
    def network(self) -> Settings:
        """Settings of one host, for the keys on which all agree."""
        return next(iter(self.settings.values()))

    @property
    def config_key(self) -> str:
        """Where in etcd the network configuration is."""
        return f"{self.network.etcd_flannel_prefix}/config"

    @property
    def config(self) -> str:
        """The network configuration as it belongs there."""
        return flannel.as_text(flannel.configuration(self.network))

    @property
    def config_due(self) -> bool:
        """Whether it has to be written."""
        return self.keys.config is None or _differs(self.network, self.keys.config)

    def work(self, host: str) -> flannel_host.Work:
        """Say what a host lacks; nothing is known of one that was not reached."""
        return self.works.get(host, flannel_host.Work())

    def asking(self, host: str, *fragments: str, **values: str | int | list[str]) -> Script:
        """Make a question that a host puts to etcd with flannel's own files, through any member.

        Args:
            host: the inventory's name of the host.
            fragments: file names in `templates/`.
            values: their variables.

        Returns:
            The script.
        """
        files = flannel_host.bundle_of(self.settings[host])
        return script(
            "ctl.sh",
            *fragments,
            bin_dir=f"{self.client.sight.cluster.settings.etcd_prefix}/{self.client.tool_version}",
            ca=files.ca,
            cert=files.certificate,
            key=files.key,
            endpoint=",".join(self.client.endpoints),
            **values,
        )

    def archive(self, host: Host) -> Callable[[], Archive]:
        """Return what fetches flannel's archive for a host, once for all of the same architecture.

        Args:
            host: the host.
        """
        settings = self.settings[host.name]
        version, arch = settings.etcd_flannel_version, versions.release_arch(self.seen[host.name].machine)
        folder = f"{(settings.etcd_flannel_mirror or _UPSTREAM).rstrip('/')}/v{version}"
        program = binaries.Program(
            "flannel.tar.gz",
            version,
            arch,
            f"{folder}/flannel-v{version}-linux-{arch}.tar.gz",
            f"{folder}/SHA256SUMS",
            ("etcd_flannel_version", "etcd_flannel_mirror", "etcd_flannel_sha256"),
        )
        cache = Path(settings.etcd_cache_dir).expanduser()
        obtain = partial(
            binaries.obtain,
            program,
            settings.etcd_flannel_sha256,
            cache,
            host.log,
            known_only=settings.etcd_require_digest,
        )
        return lambda: self.run.once(f"archive {program.url}", obtain)


def flannel_hosts(run: ClusterRun) -> dict[str, Settings]:
    """Find the hosts of a cluster's flannel network: its clients whose settings name one.

    Args:
        run: the run of the cluster.

    Returns:
        Their settings by the inventory's name.
    """
    found = clients_of(run.state, run.name)
    return {name: own for name, own in found.items() if own.etcd_flannel_network is not None}


def flannel_run(host: Host) -> FlannelRun | None:
    """Find the run of a host's flannel network, looking at all its hosts and at etcd first.

    Args:
        host: the host that pyinfra is working on.

    Returns:
        The run, or None where the host has no part in any.

    Raises:
        DeployError: there are reasons against it; no host was changed.
    """
    client = client_run(host)
    if client is None or client.settings.etcd_flannel_network is None:
        return None
    found: FlannelRun = client.run.once("flannel", lambda: _make(client))
    return found


def _make(client: ClientRun) -> FlannelRun:
    run, sight = client.run, client.sight
    settings = flannel_hosts(run)
    network = next(iter(settings.values()))
    seen = look_at_hosts(run, settings)
    keys, problem = keys_in_etcd(run, sight, network.etcd_flannel_prefix)
    limit = {name for name in settings if run.state.is_host_in_limit(run.state.inventory.get_host(name))}
    gone = {host.name for host in run.state.failed_hosts}
    refuse(complaints(run.name, settings, seen, limit - gone, client.endpoints, keys, problem))
    for note in notes(settings, seen):
        logger.warning(f"    {note}")
    trusted = client.trusted()
    wanted = {
        name: flannel_host.wanted(own, seen[name].init, client.endpoints, trusted, seen[name].docker)
        for name, own in settings.items()
        if name in limit - gone
    }
    # Where there was none, nobody has read another one.
    anew = keys is not None and keys.config is not None and _differs(network, keys.config)
    works = {
        name: flannel_host.work(
            settings[name], seen[name], one, anew=anew, renewed=_renewed(client, settings[name], seen[name])
        )
        for name, one in wanted.items()
    }
    return FlannelRun(client, settings, seen, keys or Keys(), wanted, works)


def _renewed(client: ClientRun, settings: Settings, seen: Seen) -> bool:
    return bool(client.reasons(flannel_host.bundle_of(settings), seen.certificate, seen.files))


def _differs(network: Settings, found: str) -> bool:
    return bool(flannel.differences(found, flannel.configuration(network)))


def look_at_hosts(run: ClusterRun, settings: Mapping[str, Settings]) -> dict[str, Seen]:
    """Look at all hosts of the network side by side.

    Args:
        run: the run of the cluster.
        settings: the hosts and their settings.

    Returns:
        What each told.
    """
    jobs = {name: gevent.spawn(_look, run, name, own) for name, own in settings.items()}
    gevent.joinall(list(jobs.values()))
    return {name: job.get() for name, job in jobs.items()}


def _look(run: ClusterRun, name: str, settings: Settings) -> Seen:
    question = script(
        "service.sh",
        "certificates.sh",
        "neighbours.sh",
        "at-boot.sh",
        "addresses.sh",
        "flannel-look.sh",
        beside_as="",
        glue=settings.etcd_flannel_glue,
        dockerd=program_of(settings.etcd_flannel_dockerd or ""),
        daemon_json=config_file(settings.etcd_flannel_dockerd or ""),
        dir=settings.etcd_flannel_dir,
        bin_dir=settings.etcd_flannel_bin_dir,
        files=flannel_host.managed_paths(settings),
        certificate=flannel_host.bundle_of(settings).certificate,
        service=settings.etcd_flannel_service,
        modules=settings.etcd_flannel_modules,
        sysctls=flannel_host.sysctls(settings),
        device=flannel_host.device(settings),
        port=flannel_host.port(settings),
    )
    seen, problem = seek(run, name, question, parse_look)
    return seen or Seen(problem=problem)


def keys_in_etcd(run: ClusterRun, sight: Sight, prefix: str) -> tuple[Keys | None, str]:
    """Read what flannel has in etcd, by way of a member that answered.

    Args:
        run: the run of the cluster.
        sight: what was seen of its members.
        prefix: where flannel keeps its keys.

    Returns:
        The keys, or None, and then why.
    """
    if sight.seen is None:
        return None, "no quorum of its members answers"
    member = sight.cluster.member(sight.seen.source)
    question = ctl(member, "flannel-keys.sh", endpoint=member.loopback_url, prefix=prefix)
    return read_answer(prefix, ask(run, member.host, question))


def read_answer(prefix: str, lines: list[str]) -> tuple[Keys | None, str]:
    """Read what a question to etcd told, among its other lines.

    Args:
        prefix: where flannel keeps its keys.
        lines: the answer.

    Returns:
        The keys, or None, and then why.
    """
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "keys":
            keys = read_keys(prefix, rest)
            return keys, "" if keys else f"it cannot be read: {json.dumps(rest[:60])}"
        if word == "denied":
            return None, rest
    return None, "no answer"

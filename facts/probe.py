"""The one probe: everything that a decision needs about one host, in one command."""

from __future__ import annotations

from typing import Any

from pyinfra import context
from pyinfra.api import FactBase, StringCommand

from etcd_steward import storage
from etcd_steward.addresses import is_ip
from etcd_steward.desired import MARKER, UNSETTLED, managed_paths, record_path
from etcd_steward.locking import FILE, RUNNING
from etcd_steward.node import MODULES, SYSCTLS, node_paths
from etcd_steward.observed import HostState
from etcd_steward.parsing import parse_probe
from etcd_steward.platforms import CONTAINER_RUNTIMES
from etcd_steward.schedule import cron_mark, job_path, schedule_paths, timer_name
from etcd_steward.settings import CERTIFICATE_FILES, Settings, read_settings
from etcd_steward.shell import Script, script
from etcd_steward.topology import member_name

__all__ = ["Probe", "questions"]


def questions(settings: Settings, name: str, names: tuple[str, ...] = ()) -> Script:
    """Write the probe for one host.

    Args:
        settings: the host's settings.
        name: the member's name.
        names: DNS names that the host must be able to resolve.

    Returns:
        A shell script that reads and changes nothing.
    """
    address = settings.etcd_listen_address or settings.etcd_address or ""
    loopback = "[::1]" if is_ip(address) and ":" in address else "127.0.0.1"
    return script(
        "ctl.sh",
        "machine.sh",
        "across.sh",
        "newest.sh",
        "service.sh",
        "snapshot-look.sh",
        "processes.sh",
        "pod-look.sh",
        "asked.sh",
        *(("swappers.sh", "neighbours.sh") if settings.pod else ()),
        "node-look.sh",
        "certificates.sh",
        "groups.sh",
        "storage.sh",
        "addresses.sh",
        "probe.sh",
        user=settings.run_as[0],
        group=settings.run_as[1],
        prefix=settings.etcd_prefix,
        bin_dir=settings.etcd_bin_dir,
        config=settings.config_path,
        manifest=settings.manifest_path,
        pod="yes" if settings.pod else "",
        unsettled=UNSETTLED[settings.etcd_runtime],
        modules=MODULES,
        sysctls=list(SYSCTLS),
        beside_as="node ",
        container_runtime=CONTAINER_RUNTIMES[settings.etcd_container_runtime].program,
        files=[
            *managed_paths(settings, name),
            *schedule_paths(settings),
            *(node_paths() if settings.pod else ()),
        ],
        certificates=[
            settings.certificate_path(kind, name) for kind in CERTIFICATE_FILES if not kind.endswith("_key")
        ],
        service=settings.etcd_service,
        data_dir=settings.etcd_data_dir,
        wal_dir=settings.etcd_wal_dir,
        folders=[f"{word}={path}" for word, path in storage.folders(settings, name).items()],
        record=record_path(settings.etcd_cluster),
        endpoint=f"https://{loopback}:{settings.etcd_client_port}",
        ca=settings.certificate_path("ca", name),
        cert=settings.certificate_path("health", name),
        key=settings.certificate_path("health_key", name),
        ports=[f"{port:04X}" for port in (settings.etcd_client_port, settings.etcd_peer_port)],
        names=names,
        marker=MARKER,
        lock=FILE,
        running=RUNNING,
        snapshots=settings.etcd_snapshot_dir,
        job=job_path(settings.etcd_service),
        timer=timer_name(settings.etcd_service),
        cron_mark=cron_mark(settings.etcd_service),
    )


def own_questions() -> Script:
    """Write the probe for the host that pyinfra is working on, from its own settings.

    Returns:
        The script; wrong settings are passed over here, as a fact only looks.
    """
    host = context.host
    settings, _ = read_settings(host.name, dict(host.data.dict()))
    if settings is None:
        settings = Settings()
    return questions(settings, member_name(host.name, settings))


class Probe(FactBase[HostState]):
    """Returns everything that one look at a host tells, as `etcd_steward.observed.HostState`."""

    @staticmethod
    def default() -> HostState:
        """Tell that the host did not answer."""
        return HostState("", problem="no answer")

    def command(self, ask: Script | None = None) -> StringCommand:
        """Make the command.

        Args:
            ask: the script, where the caller knows the cluster; otherwise it is made from the host's own settings.
        """
        return StringCommand(ask or own_questions())

    def process(self, output: Any) -> HostState:
        """Read what the script printed."""
        return parse_probe("", list(output))

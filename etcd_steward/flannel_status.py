"""What status tells of flannel: the lease of every host, where the settings have a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from etcd_steward.flannel import fits
from etcd_steward.flannel_host import device
from etcd_steward.flannel_leases import Keys, Lease
from etcd_steward.flannel_run import flannel_hosts, keys_in_etcd, look_at_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etcd_steward.flannel_seen import Seen
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.settings import Settings

__all__ = ["FlannelRow", "FlannelStatus", "describe", "flannel_status"]

_COLUMNS = ("flannel host", "lease", "address", "device", "service")


@dataclass(frozen=True)
class FlannelRow:
    """One host of the network; None where it, or etcd, did not tell.

    Args:
        host: the inventory's name of the host.
        lease: its part of the network, as etcd has it.
        address: the address by which the others reach it.
        device: whether there is flannel's device.
        service: the init system's word.
    """

    host: str
    lease: str | None = None
    address: str | None = None
    device: bool | None = None
    service: str | None = None


@dataclass(frozen=True)
class FlannelStatus:
    """The network of one cluster.

    Args:
        network: all its addresses.
        prefix: where in etcd it is.
        configured: whether etcd has its configuration; None where no member answered.
        hosts: its hosts, in the inventory's order.
        notes: what lacks.
    """

    network: str
    prefix: str
    configured: bool | None
    hosts: tuple[FlannelRow, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give what the JSON has under `flannel`."""
        told = asdict(self)
        del told["notes"]
        return told

    def table(self) -> Table:
        """Draw it below the members."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for column in _COLUMNS:
            table.add_column(column, no_wrap=True)
        for row in self.hosts:
            there = {True: "yes", False: "no", None: ""}[row.device]
            cells = (
                row.host.rpartition("/")[2],
                row.lease or "none",
                row.address or "",
                there,
                row.service or "",
            )
            table.add_row(*map(Text, cells), style=None if row.lease else "yellow")
        return table


def flannel_status(run: ClusterRun, sight: Sight) -> FlannelStatus | None:
    """Look at the hosts of a cluster's flannel network, and at its leases.

    Args:
        run: the run of the cluster.
        sight: what was seen of its members.

    Returns:
        What to tell; None where no settings have a network, and then nothing is asked.
    """
    settings = flannel_hosts(run)
    if not settings:
        return None
    prefix = next(iter(settings.values())).etcd_flannel_prefix
    keys, problem = keys_in_etcd(run, sight, prefix)
    return describe(settings, look_at_hosts(run, settings), keys, problem)


def describe(
    settings: Mapping[str, Settings], seen: Mapping[str, Seen], keys: Keys | None, problem: str = ""
) -> FlannelStatus:
    """Put together what was seen.

    Args:
        settings: the hosts of the network and their settings.
        seen: what was seen of each.
        keys: what is in etcd; None where no member answered.
        problem: why not.

    Returns:
        The status.
    """
    network = next(iter(settings.values()))
    rows = tuple(_row(host, own, seen[host], keys) for host, own in settings.items())
    notes = []
    if keys is None:
        notes.append(f"flannel: its keys are not known ({problem})")
    elif keys.config is None:
        notes.append(
            f"flannel: found no {network.etcd_flannel_prefix}/config, wanted it; next: run deploys/flannel.py"
        )
    for row in rows:
        if not seen[row.host].reached:
            notes.append(f"{row.host}: nothing is known of its flannel ({seen[row.host].problem})")
        elif keys is not None and row.lease is None:
            cure = f"run deploys/flannel.py; {device(settings[row.host])} is {'there' if row.device else 'not there'}"
            notes.append(f"{row.host}: found no lease of flannel, wanted one; next: {cure}")
    return FlannelStatus(
        network=network.etcd_flannel_network or "",
        prefix=network.etcd_flannel_prefix,
        configured=None if keys is None else keys.config is not None,
        hosts=rows,
        notes=tuple(notes),
    )


def _row(host: str, settings: Settings, seen: Seen, keys: Keys | None) -> FlannelRow:
    if not seen.reached:
        return FlannelRow(host)
    lease = _lease(settings, seen, keys.leases if keys else ())
    return FlannelRow(
        host=host,
        lease=str(lease.subnet) if lease else None,
        address=lease.address if lease else None,
        device=seen.device,
        service=seen.service.word,
    )


def _lease(settings: Settings, seen: Seen, leases: tuple[Lease, ...]) -> Lease | None:
    own = set(seen.own_addresses)
    # A lease of an earlier configuration lives on for up to a day.
    return next((one for one in leases if one.address in own and fits(settings, one.subnet)), None)

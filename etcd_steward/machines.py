"""Whether two inventory names lead to one machine: a copied line, an alias, or a jump host that answers itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_steward.errors import Complaint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["same_machines"]


def same_machines(marks: Mapping[str, str]) -> list[Complaint]:
    """Name the hosts of an inventory that are one machine.

    Args:
        marks: by inventory name what tells the running machine from any other, see `templates/machine.sh`; empty where a
            host told none.

    Returns:
        A complaint for each name but the first of each machine.
    """
    first: dict[str, str] = {}
    complaints = []
    for host, mark in sorted(marks.items()):
        if not mark:
            continue
        known = first.setdefault(mark, host)
        if known != host:
            complaints.append(
                Complaint(
                    host,
                    f"the machine that {known} leads to as well",
                    "a machine for each name",
                    f"take {host} or {known} out of the inventory, or correct its address",
                )
            )
    return complaints

"""Whether two inventory names lead to one machine: a copied line, an alias, or a jump host that answers itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_steward.errors import Complaint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["same_machines", "sharing"]


def sharing(what: Mapping[str, str]) -> list[tuple[str, str]]:
    """Find the hosts that have something which another host has already.

    Args:
        what: by host what must be its own; empty where it is not known.

    Returns:
        Each such host, and the first that has the same.
    """
    first: dict[str, str] = {}
    found = [(host, first.setdefault(one, host)) for host, one in what.items() if one]
    return [(host, known) for host, known in found if known != host]


def same_machines(marks: Mapping[str, str]) -> list[Complaint]:
    """Name the hosts of an inventory that are one machine.

    Args:
        marks: by inventory name what tells the running machine from any other, see `templates/machine.sh`; empty where a
            host told none.

    Returns:
        A complaint for each name but the first of each machine.
    """
    return [
        Complaint(
            host,
            f"the machine that {known} leads to as well",
            "a machine for each name",
            f"take {host} or {known} out of the inventory, or correct its address",
        )
        for host, known in sharing(dict(sorted(marks.items())))
    ]

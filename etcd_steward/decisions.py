"""The words of a plan: what a host's turn will be, and what forbids it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from etcd_steward.errors import Complaint
from etcd_steward.topology import Member

__all__ = [
    "ACTING",
    "JOINING",
    "MAKING",
    "NEWBORN",
    "NO_ROOT",
    "Action",
    "Decision",
    "Plan",
    "Refusal",
    "clone_of",
    "disputed_list",
    "outage_told",
    "quorum",
]

Action = Literal[
    "bootstrap",
    "restore",
    "start",
    "converge",
    "wait",
    "join",
    "finish",
    "replace",
    "move",
    "leave",
    "refuse",
]
# Actions that make a cluster, all members together.
MAKING: tuple[Action, ...] = ("bootstrap", "restore")
# Actions that change the list of members.
JOINING: tuple[Action, ...] = ("finish", "replace", "move", "join")
# Actions for which a host may be new, with nothing on it.
NEWBORN: tuple[Action, ...] = (*MAKING, "join", "replace", "finish")
# Actions that write anything on a host.
ACTING: tuple[Action, ...] = (*MAKING, "start", "converge", *JOINING)

NO_ROOT = (
    "a login without root's rights",
    "root",
    "set _sudo = True (or _doas = True) in the inventory",
)


@dataclass(frozen=True)
class Decision:
    """What one host's turn will be.

    Args:
        host: the inventory's name of the host.
        row: the letter of the table's row.
        action: what is done; join, finish, replace, move and leave belong to verbs of their own.
        why: the reason in words.
    """

    host: str
    row: str
    action: Action
    why: str


@dataclass(frozen=True)
class Plan:
    """The decisions of a run.

    Args:
        decisions: one for every host of the cluster.
        refusals: what stops the run before any host is changed.
        notes: what the operator should know.
    """

    decisions: Mapping[str, Decision]
    refusals: tuple[Complaint, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def acting(self, action: Action) -> list[str]:
        """Name the hosts for which an action was decided."""
        return [host for host, decision in self.decisions.items() if decision.action == action]


def quorum(voters: int) -> int:
    """Say how many of the voters must agree.

    Args:
        voters: how many there are.

    Returns:
        The smallest majority.
    """
    return voters // 2 + 1


def outage_told(voters: int, healthy: int, doing: str, stall: str, *, serves: bool = True) -> str:
    """Say how many voters are left while one of them does not serve.

    Args:
        voters: how many there are.
        healthy: how many of them serve now.
        doing: which one, and what it does meanwhile.
        stall: for how long nobody can write, where too few are left.
        serves: whether that one is among the healthy ones.
    """
    left = healthy - serves
    told = f"voters {voters}, quorum {quorum(voters)}, healthy {healthy} -> {left} while {doing}"
    return told if left >= quorum(voters) else f"{told}: nobody can write {stall}"


def clone_of(owner: Member) -> tuple[str, str, str]:
    """Say that a host has another member's data, as a refusal's found, wanted and next.

    Args:
        owner: whose data it is.

    Returns:
        The three parts.
    """
    return (
        f"the data of {owner.name}",
        "data of its own",
        f"this host is a clone of {owner.host}: stop its etcd and reinstall it, or take it out of the inventory",
    )


def disputed_list(cluster: str, told: str) -> Complaint:
    """Refuse to change anything by a list of members about which they do not agree.

    Args:
        cluster: the cluster's name.
        told: who lists what.
    """
    return Complaint(
        cluster,
        f"members that disagree about who is in the cluster ({told})",
        "one list",
        "run again; where it stays so, find the member that differs, see docs/troubleshooting.md",
    )


class Refusal(Exception):  # noqa: N818 - it is no error of the program
    """Raised inside the rows of the table; `decide` collects all of them."""

    def __init__(self, row: str, found: str, wanted: str, what_next: str) -> None:
        super().__init__(found)
        self.row, self.found, self.wanted, self.next = row, found, wanted, what_next

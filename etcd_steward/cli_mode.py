"""How pyinfra was started, as far as its own state does not tell."""

from __future__ import annotations

import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pyinfra

from etcd_steward.errors import Complaint

if TYPE_CHECKING:
    from etcd_steward.run import ClusterRun

__all__ = ["apart", "asks_for_json", "one_by_one", "verbs"]


def one_by_one() -> str:
    """Tell whether hosts are not worked on side by side, operation by operation.

    Returns:
        The option that says so, or an empty text; pyinfra 3.10 keeps it nowhere but on its command line.
    """
    if not pyinfra.is_cli:
        return ""
    return next((option for option in ("--serial", "--no-wait") if option in sys.argv), "")


def apart(run: ClusterRun, why: str) -> list[Complaint]:
    """Complain where this run does not work on all members of the cluster side by side.

    Args:
        run: the run.
        why: what is wanted, and why.

    Returns:
        The complaints; empty where it does.
    """
    modes = ["--limit or --exclude"] if run.limited() != set(run.hosts) else []
    modes += filter(None, [one_by_one()])
    return [Complaint(run.name, mode, why, "run without it") for mode in modes]


def asks_for_json() -> bool:
    """Tell whether pyinfra was asked for its own JSON, which has standard output to itself.

    Returns:
        True with pyinfra's `--json`, which pyinfra 3.10 keeps nowhere but on its command line.
    """
    return pyinfra.is_cli and "--json" in sys.argv


def verbs() -> tuple[str, ...]:
    """Name the deploy files that pyinfra was given.

    Returns:
        Such as `deploys/etcd.py`; none where anything else is run too, as nobody knows what that reads.
    """
    if not pyinfra.is_cli:
        return ()
    files = tuple(word for word in sys.argv[1:] if word.endswith(".py") and "=" not in word)
    # The first file is the inventory, unless that is a list of hosts.
    found = tuple(word for word in files if PurePosixPath(word).parent.name == "deploys")
    return found if len(found) >= len(files) - 1 else ()

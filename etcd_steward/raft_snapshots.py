"""The raft snapshots that 3.7 starts from: it cannot read what 3.5 and older wrote into the log behind them.

3.5 writes entries of its v2 store into the raft log, such as what a member publishes when it starts. 3.6 still reads them; 3.7
does not (CHANGELOG-3.7, etcd#21263), and panics on every one that lies behind the last raft snapshot. etcd makes one only
each `snapshot-count` entries, 10 000 of them: so it is made on purpose before a member goes to 3.7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etcd_steward.settings import Settings
    from etcd_steward.versions import Version

__all__ = ["OFTEN", "frequent", "index_of", "leads_to_3_7"]

# Entries between two raft snapshots while they are made on purpose. Few writes are needed then, and a busy cluster does not
# make so many that its disks suffer: each is a small file, as 3.6 keeps no keys in it.
OFTEN = 25

_NAME = re.compile(r"[0-9a-f]{16}-([0-9a-f]{16})\.snap")


def leads_to_3_7(version: Version) -> bool:
    """Tell whether a release is of the last line that reads the old entries, and so the one that makes the snapshot.

    Args:
        version: the release that a member runs.
    """
    return version.minor_line == "3.6"


def frequent(settings: Settings) -> Settings:
    """Let a member make raft snapshots often.

    Args:
        settings: the member's settings.

    Returns:
        The same with a low `snapshot-count`.
    """
    config = dict(settings.etcd_config)
    asked = config.get("snapshot-count")
    config["snapshot-count"] = min(asked, OFTEN) if isinstance(asked, int) and asked > 0 else OFTEN
    return settings.model_copy(update={"etcd_config": config})


def index_of(name: str) -> int:
    """Read the raft index out of the name of a raft snapshot (etcd, `server/etcdserver/api/snap`).

    Args:
        name: such as `0000000000000002-0000000000000a41.snap`.

    Returns:
        The index; 0 where it is no such name.
    """
    found = _NAME.fullmatch(name.strip())
    return int(found.group(1), 16) if found else 0

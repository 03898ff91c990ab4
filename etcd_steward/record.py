"""What we remember of a cluster, on the controller and on each of its hosts."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from etcd_steward.topology import Cluster, Member, cluster_id, member_id

__all__ = [
    "Record",
    "put_controller_record_aside",
    "read_controller_record",
    "still_open",
    "write_controller_record",
]


@dataclass(frozen=True)
class Record:
    """A cluster's lasting identity.

    Args:
        cluster: the cluster's name.
        id: its id, 16 hexadecimal digits.
        token: the initial-cluster-token, new for every bootstrap and restore: with a fixed one, data of an earlier
            life joins a new cluster silently.
        open: True until the bootstrap has passed its gate.
        members: ids of the first members by name, hexadecimal.
        snapshot: the manifest of the snapshot that it was restored from; empty where it began without data.
    """

    cluster: str
    id: str
    token: str
    open: bool
    members: Mapping[str, str]
    snapshot: str = ""

    @classmethod
    def new(cls, cluster: Cluster) -> Record:
        """Open a record for a cluster that is about to be made.

        Args:
            cluster: its members.

        Returns:
            A record with a fresh token and the ids that follow from it.
        """
        token = f"{cluster.name}-{secrets.token_hex(4)}"
        ids = {member.name: member_id([member.peer_url], token) for member in cluster.members}
        return cls(
            cluster=cluster.name,
            id=f"{cluster_id(ids.values()):016x}",
            token=token,
            open=True,
            members={name: f"{number:016x}" for name, number in ids.items()},
        )

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> Record | None:
        """Read a record from its decoded JSON.

        Args:
            value: the decoded object, or None.

        Returns:
            The record, or None where there is none or it is not one of ours.
        """
        if value is None:
            return None
        try:
            return cls(
                cluster=str(value["cluster"]),
                id=_hexadecimal(value["id"]),
                token=str(value["token"]),
                open=bool(value["open"]),
                members={str(name): _hexadecimal(number) for name, number in value["members"].items()},
                snapshot=str(value.get("snapshot", "")),
            )
        except (KeyError, AttributeError, TypeError, ValueError):
            return None

    @property
    def empty(self) -> bool:
        """Whether its members may start without data: only until a bootstrap has passed its gate."""
        return self.open and not self.snapshot

    def closed(self) -> Record:
        """Close the record: from now on the cluster has formed."""
        return replace(self, open=False)

    def text(self, member: Member | None = None) -> str:
        """Write the record as one line of JSON.

        Args:
            member: the member on whose host it is kept; its folders are noted, so that a changed path is recognised.

        Returns:
            The line, with its end.
        """
        value: dict[str, Any] = {"written by": "etcd-steward", **asdict(self)}
        if not self.snapshot:
            del value["snapshot"]
        if member is not None:
            value["data_dir"] = member.settings.etcd_data_dir
            value["wal_dir"] = member.settings.etcd_wal_dir
        return json.dumps(value, sort_keys=True) + "\n"


def _hexadecimal(value: object) -> str:
    if re.fullmatch("[0-9a-f]{1,16}", str(value)) is None:
        raise ValueError(f"{value!r} is no id")
    return str(value)


def still_open(records: Mapping[str, Record]) -> bool:
    """Tell whether a bootstrap has not yet passed its gate.

    Args:
        records: its records by where they lie.

    Returns:
        True while every record is open; they are closed one after the other, so one that is closed counts.
    """
    return bool(records) and all(record.empty for record in records.values())


def read_controller_record(folder: Path) -> Record | None:
    """Read the controller's copy.

    Args:
        folder: the cluster's folder on the controller.

    Returns:
        The record, or None where there is none.
    """
    try:
        return Record.read(json.loads((folder / "cluster.json").read_text()))
    except (FileNotFoundError, ValueError):
        return None


def write_controller_record(folder: Path, record: Record) -> None:
    """Keep the controller's copy, replacing it in one step; a record of another cluster is moved aside.

    Args:
        folder: the cluster's folder on the controller, which exists.
        record: what to keep.
    """
    path = folder / "cluster.json"
    before = read_controller_record(folder)
    if before is not None and before.id != record.id:
        put_controller_record_aside(folder, before)
    temporary = folder / ".cluster.json.new"
    with temporary.open("w") as file:
        file.write(record.text())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def put_controller_record_aside(folder: Path, record: Record) -> None:
    """Rename the controller's copy after its cluster's id, beside itself.

    Args:
        folder: the cluster's folder on the controller.
        record: what lies there.
    """
    names = (f"cluster.{record.id}{f'-{n}' if n else ''}.json" for n in itertools.count())
    aside = next(folder / name for name in names if not (folder / name).exists())
    (folder / "cluster.json").rename(aside)

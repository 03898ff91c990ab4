"""The snapshots on a host, and whether they are fresh."""

from __future__ import annotations

from typing import TypedDict

from pyinfra import context

from etcd_steward.facts.slices import Slice
from etcd_steward.observed import HostState
from etcd_steward.settings import Settings, read_settings
from etcd_steward.snapshot_report import latest
from etcd_steward.snapshots import freshness

__all__ = ["Snapshots", "SnapshotsDict", "describe"]


class SnapshotsDict(TypedDict):
    """What `Snapshots` tells."""

    file: str | None
    time: str | None
    revision: int | None
    keys: int | None
    age: int | None
    judgement: str
    scheduled: bool


class Snapshots(Slice[SnapshotsDict]):
    """
    Returns the latest verified snapshot on a host, its age in seconds by the host's own clock, and a judgement.

    `judgement` is `fresh`, `waiting` (the first is not due yet), `old`, `none`, or `clock` for one from the future.

    .. code:: json

        {"file": "pi-n1-20260721T031900Z-r4711.db", "time": "2026-07-21T03:19:00Z", "revision": 4711, "keys": 312,
         "age": 5400, "judgement": "fresh", "scheduled": true}
    """

    def describe(self, state: HostState) -> SnapshotsDict:
        """Take it out of what the probe told."""
        settings, _ = read_settings(context.host.name, dict(context.host.data.dict()))
        return describe(state, (settings or Settings()).etcd_snapshot_hours)


def describe(state: HostState, hours: int) -> SnapshotsDict:
    """Describe the snapshots of a probed host.

    Args:
        state: what the probe told.
        hours: how often one is taken.

    Returns:
        The latest; None for what there is none of.
    """
    found = latest(state)
    judged = freshness(found.seconds if found else None, state.now, hours, state.schedule.since)
    return {
        "file": found.file if found else None,
        "time": found.time if found else None,
        "revision": found.revision if found else None,
        "keys": found.keys if found else None,
        "age": state.now - found.seconds if found else None,
        "judgement": judged.word,
        "scheduled": state.schedule.enabled and state.schedule.active,
    }

"""What verbs do and what they are allowed: consent, snapshots, and the work of later days."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from etcd_steward.settings.key import Keys, key
from etcd_steward.values import ClusterId, DataPath, Days, Line, MemberKey, Readiness, Word, Words

__all__ = ["VerbSettings"]


class VerbSettings(Keys):
    """What verbs do and what they are allowed: consent, snapshots, and the work of later days."""

    etcd_allow_even: bool = key(False, "Accept an even number of members.", True)
    etcd_allow_outage: bool = key(
        False, "Accept a pause where a restart must lose quorum (1 or 2 voters).", True
    )
    etcd_allow_open: bool = key(
        False,
        "Accept keys in etcd_config that open the database or weaken TLS; every report tells them.",
        True,
    )
    etcd_allow_volatile_data: bool = key(
        False,
        "Accept data on what a reboot empties, such as a tmpfs; every report tells it.",
        True,
    )
    etcd_forget_cluster: ClusterId | None = key(
        None,
        "Id of a lost cluster that may be forgotten, so that a new one is made.",
        "cdf818194e3a8c32",
    )
    etcd_replace: Word | None = key(
        None,
        "Member whose disk is lost for ever, or which does not start with its data: it is removed, and joins anew.",
        "etcd02",
    )
    etcd_move_aside: Words = key(
        [], "Members whose data is of another cluster or another life, and may be moved aside.", ["etcd02"]
    )
    etcd_break_lock: bool = key(False, "Take the lock from a run that is surely dead.", True)
    etcd_timeout: Annotated[int, Field(ge=5, le=3600)] = key(
        90, "Seconds that a member has to become healthy.", 180
    )
    etcd_min_free_mb: Annotated[int, Field(ge=0)] = key(
        512, "Free megabytes that a new data folder needs.", 4096
    )
    etcd_snapshots: bool = key(True, "Take snapshots on every member by a schedule.", False)
    etcd_snapshot_dir: DataPath = key(
        "/var/lib/etcd-snapshots", "Folder on the hosts for snapshots.", "/srv/etcd-snapshots"
    )
    etcd_snapshot_hours: Annotated[int, Field(ge=1, le=720)] = key(
        6, "Hours between the scheduled snapshots of a member.", 24
    )
    etcd_snapshot_keep: Annotated[int, Field(ge=3, le=10000)] = key(
        12, "Snapshots that are kept in a folder at most.", 28
    )
    etcd_snapshot_days: Days = key(
        30, "Days after which snapshots go, all but the newest three by revision.", 7
    )
    etcd_snapshot_command: Line | None = key(
        None,
        "Shell command on the host after each snapshot; $ETCD_SNAPSHOT and $ETCD_SNAPSHOT_MANIFEST are its files.",
        'rclone copy "$ETCD_SNAPSHOT" remote:etcd && rclone copy "$ETCD_SNAPSHOT_MANIFEST" remote:etcd',
    )
    etcd_backup_dir: Line = key(
        "backups", "Folder on the controller that deploys/backup.py copies snapshots to.", "/srv/backups/etcd"
    )
    etcd_snapshot: Line = key(
        "newest",
        "drill, restore: the snapshot, by its file name, or by a path on the controller; "
        "restore also knows `from:HOST`, which takes it from a survivor without quorum.",
        "backups/pi/pi-n1-20260721T031900Z-r4711.db",
    )
    etcd_restore_without: Words = key(
        [], "restore: known members that nobody can ask, and that surely run nowhere.", ["etcd02"]
    )
    etcd_restore_over: ClusterId | None = key(
        None,
        "restore: id of the cluster whose data is put aside, though it answers, may answer, or lies on a quorum of hosts.",
        "cdf818194e3a8c32",
    )
    etcd_restore_bump: Annotated[int, Field(ge=0, le=1_000_000_000_000)] = key(
        1_000_000_000,
        "restore: how far revisions jump, so that clients which watched later ones notice; 0 for not at all.",
        2_000_000_000,
    )
    etcd_renew_all: bool = key(
        False, "renew: make every certificate anew, not only those near their end.", True
    )
    etcd_clients_ready: Readiness = key(
        False,
        "rotate_ca: `trust`: all clients trust both authorities; `True`: and show certificates of the new one.",
        "trust",
    )
    etcd_ca_lost: bool = key(False, "rotate_ca: the key of the present authority is lost for ever.", True)
    etcd_rollback: bool = key(
        False,
        "upgrade: bring the members that run a newer release back, while others still run the old one.",
        True,
    )
    etcd_upgrade_snapshot: Literal["new", "recent"] = key(
        "new",
        "upgrade: take a new snapshot first, or be content with a whole one of the last 24 hours on a host.",
        "recent",
    )
    etcd_member: MemberKey | None = key(
        None, "remove: the member that leaves, by its name, its id or its peer URL.", "etcd02"
    )
    etcd_reset: ClusterId | None = key(
        None, "reset: id of the cluster that is ended, as status shows it.", "cdf818194e3a8c32"
    )
    etcd_compact: bool = key(False, "maintain: forget old revisions, all but the newest.", True)
    etcd_compact_keep: Annotated[int, Field(ge=0)] = key(
        1000, "maintain: revisions that compaction keeps.", 100
    )
    etcd_maintain_quota_fraction: Annotated[float, Field(ge=0, le=1)] = key(
        0.5, "maintain: part of its quota that a database must fill to be defragmented.", 0.8
    )
    etcd_maintain_fragmentation: Annotated[float, Field(ge=0, lt=1)] = key(
        0.5, "maintain: part of a database that must be unused for it to be defragmented.", 0.3
    )
    etcd_output: Literal["table", "json"] = key("table", "How status prints.", "json")

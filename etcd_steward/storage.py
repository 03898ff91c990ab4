"""On what the folders of a member lie: what outlives a power cut follows from the file system, not from a path's name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from etcd_steward.errors import Complaint

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.settings import Settings
    from etcd_steward.topology import Member

__all__ = ["RECORDS", "Storage", "complaints", "folders", "notes", "read"]

RECORDS = "/etc/etcd-steward"

# The kernel's numbers of file systems (linux/magic.h); devtmpfs has that of tmpfs, or of ramfs.
_NUMBERS = {
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlay",
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "smb3",
    0x517B: "smb",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x5346414F: "afs",
    0x00C36400: "ceph",
    0x19830326: "beegfs",
    0x0BD00BD0: "lustre",
}
_FORGETS = {"tmpfs", "ramfs", "devtmpfs", "rootfs"}
_SHARED = {"nfs", "nfs4", "cifs", "smb3", "smb", "9p", "afs", "ceph", "beegfs", "lustre"}
# A disk of memory, whatever lies on it.
_MEMORY = re.compile(r"/dev/z?ram[0-9]+")


@dataclass(frozen=True)
class Storage:
    """What a folder lies on.

    Args:
        kind: volatile where a reboot takes it away, shared where another machine keeps it; unknown is never taken for either.
        name: the file system in words.
    """

    kind: Literal["lasting", "volatile", "shared", "unknown"] = "unknown"
    name: str = ""


def read(lines: Iterable[str]) -> dict[str, Storage]:
    """Read what `templates/storage.sh` tells.

    Args:
        lines: `WORD NUMBER TYPE DEVICE UPPER`, each; a host may tell anything, and what does not fit is unknown.

    Returns:
        The storage by word.
    """
    return {words[0]: _storage(words[1:]) for line in lines if (words := line.split())}


def _storage(told: list[str]) -> Storage:
    number, mounted, device, upper = [*told, "", "", "", ""][:4]
    # Where the kernel was not asked, or has a number that is not known here, the table of mounts knows the name.
    name = _name(number) or (mounted if number == "-" else "")
    if name in _FORGETS:
        return Storage("volatile", name)
    if name == "overlay":
        below = _name(upper)
        return Storage("volatile", f"an overlay on {below}") if below in _FORGETS else Storage()
    if _MEMORY.fullmatch(device):
        return Storage("volatile", f"{device}, a disk of memory")
    if mounted.startswith("fuse."):
        return Storage("shared", mounted) if re.fullmatch(r"fuse\.[a-z0-9._-]{1,40}", mounted) else Storage()
    if name in _SHARED:
        return Storage("shared", name)
    # A disk with FUSE is mounted as `fuseblk`.
    return Storage("lasting", name) if re.fullmatch(r"[0-9a-f]{1,16}", number) else Storage()


def _name(number: str) -> str:
    # A kernel of 32 bits tells a negative one with further digits in front.
    return _NUMBERS.get(int(number, 16) & 0xFFFFFFFF, "") if re.fullmatch(r"[0-9a-f]{1,16}", number) else ""


def folders(settings: Settings, name: str) -> dict[str, str]:
    """Name the folders that have to outlive a reboot.

    Args:
        settings: the host's settings.
        name: the member's name.

    Returns:
        Each by the word with which the probe tells of it.
    """
    return {
        "data": settings.etcd_data_dir,
        **({"wal": settings.etcd_wal_dir} if settings.etcd_wal_dir else {}),
        **({"snapshots": settings.etcd_snapshot_dir} if settings.etcd_snapshots else {}),
        "records": RECORDS,
        "config": posixpath.dirname(settings.config_path),
        "certificates": posixpath.dirname(settings.certificate_path("server", name)),
        **({} if settings.pod else {"programs": settings.etcd_prefix}),
    }


# What holds the database itself -> the setting that says where it lies.
_DATA = {"data": "etcd_data_dir", "wal": "etcd_wal_dir"}


def complaints(member: Member, state: HostState) -> list[Complaint]:
    """Refuse data on what a power cut empties, unless that was consented to.

    Args:
        member: the host's member.
        state: what the probe told.
    """
    if member.settings.etcd_allow_volatile_data:
        return []
    return [
        Complaint(
            member.host,
            f"{key} {path} on {state.storage[word].name}, which every reboot and every power cut empties",
            "a disk that keeps what is written to it",
            f"mount a disk there, or set {key} to a folder on one; where the data may be lost, "
            "set etcd_allow_volatile_data = True, and every report tells it",
        )
        for word, key, path in _volatile_data(member, state.storage)
    ]


def _volatile_data(member: Member, storage: Mapping[str, Storage]) -> list[tuple[str, str, str]]:
    places = folders(member.settings, member.name)
    return [
        (word, key, places[word])
        for word, key in _DATA.items()
        if word in places and word in storage and storage[word].kind == "volatile"
    ]


def notes(member: Member, state: HostState) -> list[str]:
    """Tell what else does not outlive a power cut, what was consented to, and data that another machine keeps.

    Args:
        member: the host's member.
        state: what the probe told.
    """
    places = folders(member.settings, member.name)
    found = []
    if member.settings.etcd_allow_volatile_data:
        found += [
            f"{key} {path} lies on {state.storage[word].name}, as etcd_allow_volatile_data allows: a power cut empties it, "
            "and one of all members at once ends the cluster"
            for word, key, path in _volatile_data(member, state.storage)
        ]
    found += [
        f"{key} {places[word]} lies on a share ({state.storage[word].name}), which etcd's documentation advises against: "
        "where it stalls, so does the member; set it to a folder on a disk of this host"
        for word, key in _DATA.items()
        if word in places and word in state.storage and state.storage[word].kind == "shared"
    ]
    lost: dict[str, list[str]] = {}
    for word, path in places.items():
        if word not in _DATA and word in state.storage and state.storage[word].kind == "volatile":
            lost.setdefault(state.storage[word].name, []).append(path)
    found += [
        f"{', '.join(dict.fromkeys(paths))} on {name}, which a power cut empties: keep them on a disk "
        "(a diskless Alpine: lbu include, then lbu commit), or run deploys/etcd.py after each boot"
        for name, paths in lost.items()
    ]
    return [f"{member.host}: {text}" for text in found]

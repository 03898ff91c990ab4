"""What a member's folders lie on: a file system that forgets is refused by what it is, whatever its path is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import report
from etcd_steward.facts.probe import questions
from etcd_steward.observed import HostState
from etcd_steward.parsing import parse_probe
from etcd_steward.preflight import check_host
from etcd_steward.settings import Settings, read_settings
from etcd_steward.shell import script
from etcd_steward.storage import Storage, folders, notes, read
from etcd_steward.topology import Member
from tests.engine.common import N1
from tests.engine.fakes import World

SHELLS = [
    words for words in (["dash"], ["sh"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])
]
FORGETS = ["tmpfs", "ramfs", "devtmpfs"]
MOUNTS = """\
rootfs / rootfs rw 0 0
udev /dev devtmpfs rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/sda1 / ext4 rw 0 0
tmpfs /media/rw tmpfs rw 0 0
overlay /live overlay rw,lowerdir=/ro,upperdir={seen},workdir=/w 0 0
overlay /box overlay rw,lowerdir=/ro,upperdir=/var/lib/docker/overlay2/0/diff,workdir=/w 0 0
overlay /pi overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work 0 0
/dev/zram0 /zram ext4 rw 0 0
n:/e /share nfs4 rw,addr=10.0.0.1 0 0
s:/ /ssh fuse.sshfs rw 0 0
/dev/sdb1 /ntfs fuseblk rw 0 0
tmpfs /a\\040b tmpfs rw 0 0
/dev/sdc /srv/etcd xfs rw 0 0
"""
NUMBERS = {"tmpfs": "1021994", "ext4": "ef53", "overlay": "794c7630", "nfs": "6969", "fuse": "65735546"}


def member(**data):
    own, wrong = read_settings("n1", {"etcd_address": "10.0.0.1", **data})
    assert wrong == []
    return Member("n1", "n1", "10.0.0.1", "10.0.0.1", own)


def state(**told):
    return HostState("n1", reached=True, uid=0, init="systemd", machine="x86_64", free_mb=9999, storage=told)


VOLATILE = Storage("volatile", "tmpfs")


@pytest.mark.parametrize("action", ["bootstrap", "converge", "start", "restore", "join", "wait"])
def test_data_on_what_a_power_cut_empties_is_refused_in_every_plan_and_told_with_a_consent(action):
    both = state(data=VOLATILE, wal=Storage("volatile", "ramfs"), config=Storage("lasting", "ext4"))
    data, wal = (str(one) for one in check_host(member(etcd_wal_dir="/ssd/wal"), both, action))
    assert (
        "found etcd_data_dir /var/lib/etcd on tmpfs, which every reboot and every power cut empties" in data
    )
    assert "found etcd_wal_dir /ssd/wal on ramfs" in wal
    assert "set etcd_allow_volatile_data = True" in data
    agreed = member(etcd_wal_dir="/ssd/wal", etcd_allow_volatile_data=True)
    assert check_host(agreed, both, action) == []
    told = notes(agreed, both)
    assert [text.split(" lies on ")[0] for text in told] == [
        "n1: etcd_data_dir /var/lib/etcd",
        "n1: etcd_wal_dir /ssd/wal",
    ]


@given(
    st.dictionaries(
        st.sampled_from(["data", "wal", "snapshots", "records", "config", "certificates", "programs", "x"]),
        st.sampled_from([Storage(), Storage("lasting", "ext4"), Storage("shared", "nfs"), VOLATILE]),
    ),
    st.booleans(),
)
def test_only_volatile_data_is_refused_and_whatever_else_does_not_last_is_a_note(told, agreed):
    own = member(etcd_wal_dir="/ssd/wal", etcd_allow_volatile_data=agreed)
    seen = state(**told)
    refused = {word for word in ("data", "wal") if told.get(word) == VOLATILE}
    assert len(check_host(own, seen, "converge")) == (0 if agreed else len(refused))
    text = "\n".join(notes(own, seen))
    for word, path in folders(own.settings, "n1").items():
        known = told.get(word, Storage()).kind
        if word in {"data", "wal"}:
            assert (f" {path} lies on " in text) == (known == "shared" or (known == "volatile" and agreed))
        elif word in {"snapshots", "records", "certificates", "programs"}:
            assert (path in text) == (known == "volatile")


def read_one(rest):
    return read([f"data {rest}"]).get("data", Storage())


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ("1021994 tmpfs tmpfs -", "volatile"),
        ("1021994 rootfs rootfs -", "volatile"),
        ("858458f6 ramfs none -", "volatile"),
        ("ffffffff858458f6 ramfs none -", "volatile"),  # a number of 32 bits with its sign
        ("- devtmpfs udev -", "volatile"),
        ("ef53 ext4 /dev/sda1 -", "lasting"),
        ("ef53 ext4 /dev/zram0 -", "volatile"),
        ("ef53 ext2 /dev/ram1 -", "volatile"),
        ("794c7630 overlay overlay -", "unknown"),
        ("794c7630 overlay overlay 1021994", "volatile"),
        ("794c7630 overlay overlay ef53", "unknown"),
        ("6969 nfs4 n:/e -", "shared"),
        ("ff534d42 cifs //n/e -", "shared"),
        ("fe534d42 cifs //n/e -", "shared"),
        ("65735546 fuse.sshfs s:/ -", "shared"),
        ("65735546 fuseblk /dev/sdb1 -", "lasting"),
        ("2fc12fc1 zfs tank -", "lasting"),
        ("- - - -", "unknown"),
        ("-", "unknown"),
        ("", "unknown"),
        ("tmpfs tmpfs tmpfs tmpfs", "unknown"),
    ],
)
def test_a_kind_follows_from_the_kernels_number_and_from_the_mount_where_there_is_none(rest, kind):
    assert read_one(rest).kind == kind


@given(st.lists(st.text(max_size=30), max_size=6))
def test_whatever_a_host_tells_of_its_storage_is_read_and_nothing_of_it_is_believed_unless_it_fits(lines):
    for one in read(lines).values():
        assert one.kind in {"lasting", "volatile", "shared", "unknown"}
        assert one.name.isprintable()
        assert len(one.name) < 60


def told_by(words, tmp_path, path, cmdline="quiet"):
    """Run the fragment over a table of mounts of the test's own; `stat` tells numbers by it, as the kernel would."""
    seen = tmp_path / "upper" / "data"
    seen.mkdir(parents=True, exist_ok=True)
    (tmp_path / "mounts").write_text(MOUNTS.format(seen=seen))
    (tmp_path / "cmdline").write_text(cmdline)
    text = (script("ctl.sh", "storage.sh") + "").replace("/proc/self/mounts", f"{tmp_path}/mounts")
    fake = "\nmagic() { case $1 in "
    fake += " ".join(
        f"{place}*) echo {NUMBERS[name]} ;;"
        for place, name in {
            "/box": "overlay", "/pi": "overlay", "/live": "overlay", "/zram": "ext4", "/share": "nfs", "/ssh": "fuse",
            "/ntfs": "fuse", "/run/": "tmpfs", str(tmp_path): "tmpfs", "/none": "ext4",
        }.items()
    )  # fmt: skip
    fake += f" *) echo {NUMBERS['ext4']} ;; esac; }}\n"
    # None of these folders is there.
    text = text.replace('at=$(readlink -f "$(nearest "$2")")', "at=$2").replace(
        "/proc/cmdline", f"{tmp_path}/cmdline"
    )
    done = subprocess.run(
        [*words, "-c", f"{text}{fake}\nstorage data {path}"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return read([line.removeprefix("storage ")])["data"]


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/var/lib/etcd", Storage("lasting", "")),
        ("/srv/etcd/x", Storage("lasting", "")),
        ("/run/x", VOLATILE),
        ("/runner", Storage("lasting", "")),
        ("/live/etcd", Storage("volatile", "an overlay on tmpfs")),
        ("/box/etcd", Storage()),
        ("/pi/etcd", Storage()),
        ("/zram/etcd", Storage("volatile", "/dev/zram0, a disk of memory")),
        ("/share/etcd", Storage("shared", "nfs")),
        ("/ssh/etcd", Storage("shared", "fuse.sshfs")),
        ("/ntfs/etcd", Storage("lasting", "fuse")),
    ],
)
def test_the_host_tells_what_a_path_lies_on_on_every_shell(words, tmp_path, path, wanted):
    found = told_by(words, tmp_path, path)
    assert (found.kind, found.name or "") == (wanted.kind, wanted.name)
    if path.startswith("/pi"):
        hidden = told_by(words, tmp_path, path, "console=tty1 boot=overlay quiet")
        assert hidden == Storage("volatile", "an overlay on tmpfs")
        assert told_by(words, tmp_path, "/box/etcd", "boot=overlay") == Storage()


def kernel_says(path):
    told = subprocess.run(
        ["stat", "-f", "-c", "%t", path], capture_output=True, text=True, check=False
    ).stdout
    return told.strip()


@pytest.mark.skipif(kernel_says("/dev/shm") != NUMBERS["tmpfs"], reason="no tmpfs in /dev/shm")
@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_the_probe_tells_a_real_tmpfs_below_a_folder_that_is_not_there_yet_and_behind_a_link(words, tmp_path):
    link = tmp_path / "disk"
    link.symlink_to("/dev/shm")
    own = Settings().model_copy(
        update={
            "etcd_data_dir": f"{link}/etcd-steward-nothing/data",
            "etcd_wal_dir": "/dev/shm/etcd-steward-nothing",
            "etcd_snapshot_dir": f"{tmp_path}/snapshots",
            "etcd_config_dir": "/proc/sys",
        }
    )
    told = subprocess.run(
        [*words, "-c", questions(own, "n1") + ""],
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    seen = parse_probe("n1", told.stdout.splitlines())
    assert seen.reached, seen.problem
    assert (seen.storage["data"], seen.storage["wal"]) == (VOLATILE, VOLATILE)
    assert seen.storage["config"].kind == "lasting"
    assert set(seen.storage) == set(folders(own, "n1"))


def test_status_calls_volatile_data_a_problem_until_it_is_agreed_to_and_then_a_note(tmp_path):
    for agreed in (False, True):
        world = World(tmp_path / str(agreed), etcd_allow_volatile_data=agreed)
        world.hosts[N1].lines.insert(-1, "storage data 1021994 tmpfs tmpfs -")
        sight = world.sight()
        verdict = report.examine(sight, sight.decide(), datetime.now(UTC))
        text = f"{N1}: found etcd_data_dir /var/lib/etcd on tmpfs"
        assert any(str(one).startswith(text) for one in verdict.problems) is not agreed
        assert any("as etcd_allow_volatile_data allows" in one for one in verdict.notes) is agreed


def test_what_is_unknown_is_no_reason():
    assert check_host(member(), replace(state(), storage={"data": Storage()}), "bootstrap") == []
    assert notes(member(), state(data=Storage(), records=Storage())) == []

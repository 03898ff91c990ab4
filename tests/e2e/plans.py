"""The verbs that are cut: what each is told, where by default, and how a cluster comes to where its whole plan is due.

A verb is added by one entry of `VERBS`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from signal import SIGTERM
from typing import TYPE_CHECKING

from etcd_steward.record import read_controller_record
from tests.e2e.cutting import Cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

# The last one is the host that comes and goes.
FAMILIES = ("alpine", "debian", "centos", "debian")
OLD, NEW = "3.5.16", "3.5.30"
ALL = ("n1", "n2", "n3")
SNAPSHOTS = "/var/lib/etcd-snapshots"

# What the commands of the steps are known by: lines of the scripts that are sent.
TAKE, GIVE = r"release=\W+# Two|release=\W+# Takes", "release=yes"
STAGED = "Checks an uploaded file"
WRITE = "Writes files whose lines come"
ADD, PROMOTE, REMOVE = "action=add", "action=promote", "action=remove"
ASIDE = "Moves what a member leaves behind"
# The rule as low as it goes: whatever is unused is given back.
EAGER = ("--data=etcd_maintain_quota_fraction=0", "--data=etcd_maintain_fragmentation=0.05")
SNAPSHOT, COPY, DRILL = "Takes a snapshot", "Lays a copy", "Restores a snapshot into"
STAGING, SWITCH = "Restores a snapshot beside", r"incoming=\W?new-[^\0]*# Moves a member"
COMPACT, DEFRAGMENT = "Forgets the history", "Writes one member"


def nothing(_: Site) -> None:
    """Need no preparation."""


def everybody(site: Site) -> None:
    site.hosts = list(site.lab.hosts.values())
    site.settings["etcd_allow_even"] = True


def three(site: Site) -> None:
    """Let the last host be no member, and not in the inventory."""
    everybody(site)
    if (site.hosts[3]).exists("/var/lib/etcd/member"):
        site.run("-y", "--data=etcd_member=n4", "deploys/remove.py").succeeded()
    site.hosts = site.hosts[:3]


def four(site: Site) -> None:
    three(site)
    everybody(site)


def joined(site: Site) -> None:
    everybody(site)
    site.etcd("-y").succeeded()


def backed_up(site: Site) -> None:
    if not any((site.folder / "backups").glob("*/*.db")):
        site.run("-y", "deploys/backup.py").succeeded()


def slower(site: Site) -> None:
    wanted = site.settings.get("etcd_config", {}).get("heartbeat-interval", 100) + 5
    site.settings["etcd_config"] = {"heartbeat-interval": wanted}


def without_a_disk(site: Site) -> None:
    three(site)
    site.hosts[2].run("systemctl stop etcd && mv -T /var/lib/etcd/member $(mktemp -d /root/lost.XXXXXX)")


def old(site: Site) -> None:
    """Have a cluster of the older release: there is no way back but a new one."""
    if site.settings["etcd_version"] != OLD:
        ended(site)
        site.settings["etcd_version"] = OLD
        site.etcd("-y").succeeded()


def new(site: Site) -> None:
    """Run a release that is known to defragment safely, and give it something to do."""
    if site.settings["etcd_version"] != NEW:
        site.run("-y", f"--data=etcd_version={NEW}", "deploys/upgrade.py").succeeded()
        site.settings["etcd_version"] = NEW
    site.hosts[0].run(
        ". /etc/profile.d/etcdctl.sh; head -c 1048576 /dev/zero | tr '\\0' x >/tmp/value; "
        "for _ in 1 2 3; do etcdctl put big </tmp/value; done"
    )


def made(site: Site) -> None:
    three(site)
    site.etcd("-y").succeeded()


def ended(site: Site) -> None:
    three(site)
    if read_controller_record(site.pki) is None:
        return
    site.run("-y", _id(site), "deploys/reset.py").succeeded()


def _id(site: Site) -> str:
    record = read_controller_record(site.pki)
    assert record is not None
    return f"--data=etcd_reset={record.id}"


def not_rotated(site: Site) -> None:
    """Let a rotation be due: one within the last day is not repeated."""
    made(site)
    for before in site.pki.glob("before-*"):
        before.rename(site.folder / f"{before.name}.{time.monotonic_ns()}")


def worth_restoring(site: Site) -> None:
    made(site)
    site.put(site.hosts[0], "restored", "yes")
    site.run("-y", "deploys/backup.py").succeeded()
    site.put(site.hosts[0], "restored", "no: written after the backup")


def restoring(site: Site) -> tuple[str, ...]:
    newest = max((site.folder / "backups").glob("*/*.db"), key=lambda path: path.stat().st_mtime)
    over = _id(site).replace("etcd_reset", "etcd_restore_over")
    return (f"--data=etcd_snapshot={newest.name}", over, "deploys/restore.py")


def restored(site: Site) -> None:
    for host in site.hosts:
        assert site.get(host, "restored") == "yes"


@dataclass(frozen=True)
class Verb:
    """A verb that is cut.

    Args:
        words: its script and what it is told, for the site as `prepare` leaves it.
        steps: where it is cut by default, once per step of its plan.
        prepare: brings the site to where the verb has its whole plan to do; the one before may have left anything.
        keeps: the members that must keep their ids.
        writes: those are written to meanwhile.
        then: what must hold in the end.
        chained: each run begins where the one before was cut, as there is no cheap way back.
        shown: it is part of the default suite; the others have tests of their own there, and are cut by `scripts/test --crash`.
    """

    words: Callable[[Site], tuple[str, ...]]
    steps: tuple[Cut, ...]
    prepare: Callable[[Site], None]
    keeps: tuple[str, ...] = ALL
    writes: bool = True
    then: Callable[[Site], None] = nothing
    chained: bool = False
    shown: bool = True


def _replacing(site: Site) -> tuple[str, ...]:
    """Order the replacement as long as it is not done: after that the order is refused by name."""
    done = "is healthy" in site.etcdctl(site.lab["n3"], "endpoint", "health", check=False)
    return (*([] if done else ["--data=etcd_replace=n3"]), "deploys/etcd.py")


VERBS = {
    "config change": Verb(
        lambda _: ("deploys/etcd.py",),
        (Cut(TAKE, 2, "before"), Cut(WRITE, 1, "during"), Cut(WRITE, 1, how=SIGTERM), Cut(GIVE, 1, "before")),
        slower,
        chained=True,
    ),
    "renew": Verb(
        lambda _: ("--data=etcd_renew_all=true", "deploys/renew.py"),
        (Cut(WRITE, 1, "during"), Cut(WRITE, 3)),
        nothing,
        chained=True,
    ),
    "backup": Verb(lambda _: ("deploys/backup.py",), (Cut(SNAPSHOT, 1, "during"), Cut(COPY)), nothing),
    "drill": Verb(lambda _: ("deploys/drill.py",), (Cut(DRILL, 1, "during"),), backed_up),
    "join": Verb(
        lambda _: ("deploys/etcd.py",),
        (Cut(STAGED, 1, "during"), Cut(ADD), Cut(WRITE, 1, "during"), Cut(PROMOTE), Cut(WRITE, 2)),
        four,
        chained=True,
    ),
    "remove": Verb(
        lambda _: ("--data=etcd_member=n4", "deploys/remove.py"),
        (Cut(REMOVE), Cut(ASIDE, 1, "during"), Cut(GIVE, 1, "before")),
        joined,
        chained=True,
    ),
    "replace": Verb(
        _replacing,
        (Cut(REMOVE), Cut(ADD), Cut(WRITE, 1, "during"), Cut(PROMOTE)),
        without_a_disk,
        keeps=("n1", "n2"),
        chained=True,
    ),
    "upgrade": Verb(
        lambda _: (f"--data=etcd_version={NEW}", "deploys/upgrade.py"),
        (
            Cut(STAGED, 2, "during"),
            Cut(WRITE, 1, "during"),
            Cut(WRITE, 1, how=SIGTERM),
            Cut(WRITE, 1, "before"),
        ),
        old,
        chained=True,
    ),
    "maintain": Verb(
        lambda _: ("--data=etcd_compact=true", "--data=etcd_compact_keep=1", *EAGER, "deploys/maintain.py"),
        (Cut(COMPACT), Cut(DEFRAGMENT, 1, "during"), Cut(DEFRAGMENT, 1)),
        new,
        chained=True,
    ),
    "rotate_ca": Verb(
        lambda _: ("--data=etcd_clients_ready=true", "deploys/rotate_ca.py"),
        # Trust both, reissue, trust the new one: each in the second of its turns.
        (Cut(WRITE, 2, "during"), Cut(WRITE, 3), Cut(WRITE, 3, how=SIGTERM), Cut(GIVE, 1, "before")),
        not_rotated,
        keeps=ALL,
        writes=False,  # its clients do not learn of the new authority here; tests/e2e/test_rotate_ca.py writes
        chained=True,
        shown=False,
    ),
    "restore": Verb(
        restoring,
        (Cut(STAGING, 2, "during"), Cut(SWITCH), Cut(WRITE, 1, "during"), Cut(GIVE, 1, "before")),
        worth_restoring,
        keeps=(),
        writes=False,
        then=restored,
        chained=True,
    ),
    "reset": Verb(
        lambda site: (_id(site), "deploys/reset.py"),
        (Cut(ASIDE, 2, "during"), Cut(GIVE, 1, "before")),
        made,
        keeps=(),
    ),
    "bootstrap": Verb(
        lambda _: ("deploys/etcd.py",),
        (Cut(TAKE, 2, "before"), Cut(WRITE, 1, "during"), Cut(WRITE, 1, how=SIGTERM), Cut(WRITE, 2)),
        ended,
        keeps=(),
        chained=True,
        shown=False,
    ),
}

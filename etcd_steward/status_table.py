"""One table of all members for people, and one line of JSON for machines."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from etcd_steward.certificate_report import days_by_kind
from etcd_steward.facts.health import role
from etcd_steward.plan import quorum
from etcd_steward.report import Verdict, known_faults
from etcd_steward.snapshot_report import latest
from etcd_steward.snapshots import age
from etcd_steward.work import ROLES

if TYPE_CHECKING:
    from etcd_steward.flannel_status import FlannelStatus
    from etcd_steward.observed import HostState
    from etcd_steward.run import Sight
    from etcd_steward.topology import Member

__all__ = ["Row", "as_json", "rows", "show"]

# A file or a pipe has no width of its own: a row is then never folded.
_ENDLESS = 400
_KIB = 1024
# Below this width ids and raft indexes are left to the JSON.
_NARROW = 110
_COLUMNS = (
    "member",
    "state",
    "id",
    "version",
    "role",
    "db",
    "raft",
    "cert",
    "CA",
    "service",
    "alarms",
    "clock",
    "snapshot",
    "aside",
)
_NUMBERS = {"db", "raft", "cert", "CA", "clock", "snapshot", "aside"}


@dataclass(frozen=True)
class Row:
    """One member, as the table and the JSON tell it; None where the host did not tell.

    Args:
        host: the inventory's name of the host.
        member: the member's name.
        state: `healthy`, `unhealthy`, `stopped`, `no etcd`, `no rights` or `no answer`.
        why: why it is not healthy, in the words of what was asked.
        id: member id, 16 hexadecimal digits.
        version: the release that runs.
        role: `leader`, `follower` or `learner`.
        db_size: bytes of the database file.
        db_in_use: bytes of it that hold data; defragmenting frees the others.
        raft_index: last entry of the member's log.
        raft_applied: last entry that it has applied.
        raft_term: how many elections there were.
        certificate_days: whole days until the first of the member's certificates ends; negative after it.
        ca_days: whole days until the first of its two authorities ends.
        service: the init system's word.
        enabled: whether the service starts at boot.
        alarms: alarms that are raised.
        clock_skew: seconds by which the host's clock is surely ahead of the controller's; negative: behind.
        snapshot_age: seconds since the host's latest verified snapshot; negative where its clock must have been wrong.
        aside: folders of data that lie aside.
    """

    host: str
    member: str
    state: str
    why: str = ""
    id: str | None = None
    version: str | None = None
    role: str | None = None
    db_size: int | None = None
    db_in_use: int | None = None
    raft_index: int | None = None
    raft_applied: int | None = None
    raft_term: int | None = None
    certificate_days: int | None = None
    ca_days: int | None = None
    service: str | None = None
    enabled: bool | None = None
    alarms: tuple[str, ...] = ()
    clock_skew: float | None = None
    snapshot_age: int | None = None
    aside: tuple[str, ...] = ()


def rows(sight: Sight, now: datetime) -> list[Row]:
    """Describe every member, whether its host was reached or not.

    Args:
        sight: what was seen.
        now: the controller's time.

    Returns:
        One row for each member of the inventory, sorted by member name.
    """
    return [_row(member, sight.hosts[member.host], now) for member in sight.cluster.members]


def _row(member: Member, state: HostState, now: datetime) -> Row:
    if not state.reached:
        return Row(member.host, member.name, "no answer", state.problem)
    endpoint = state.endpoint
    status = endpoint.status or {}
    days = days_by_kind(member, state, now)
    identity = int(status.get("header", {}).get("member_id", 0)) or (
        state.data.identity.member if state.data.identity else 0
    )
    word, why = _state(state)
    snapshot = latest(state)
    return Row(
        host=member.host,
        member=member.name,
        state=word,
        why=why,
        id=f"{identity:016x}" if identity else None,
        version=status.get("version"),
        role=role(status),
        db_size=_number(status.get("dbSize")) or state.data.size or None,
        db_in_use=_number(status.get("dbSizeInUse")),
        raft_index=_number(status.get("raftIndex")),
        raft_applied=_number(status.get("raftAppliedIndex")),
        raft_term=_number(status.get("raftTerm")),
        certificate_days=_least(days, ROLES),
        ca_days=_least(days, ("ca", "peer_ca")),
        service=state.service.word,
        enabled=state.service.enabled,
        alarms=endpoint.alarms,
        clock_skew=round(state.skew(), 1),
        snapshot_age=state.now - snapshot.seconds if snapshot else None,
        aside=state.aside,
    )


def _state(state: HostState) -> tuple[str, str]:
    if state.endpoint.healthy:
        alarms = ", ".join(state.endpoint.alarms)
        return ("unhealthy", f"the alarm {alarms}") if alarms else ("healthy", "")
    if state.uid != 0:
        return "no rights", "a login without root's rights"
    if not state.service.exists:
        return "no etcd", ""
    if not state.service.running:
        return "stopped", f"{state.data.missing} is missing" if state.data.missing else ""
    return "unhealthy", state.endpoint.error or "no answer"


def _number(value: object) -> int | None:
    return int(str(value)) if value is not None else None


def _least(days: dict[str, int | None], kinds: tuple[str, ...]) -> int | None:
    return min((found for kind in kinds if (found := days.get(kind)) is not None), default=None)


def as_json(sight: Sight, verdict: Verdict, now: datetime, overlay: FlannelStatus | None = None) -> str:
    """Write a cluster's status as one line of JSON; its keys are told in docs/status.md and stay.

    Args:
        sight: what was seen.
        verdict: the judgement.
        now: the controller's time.
        overlay: flannel's network, where there is one.

    Returns:
        A JSON object without line breaks.
    """
    members = rows(sight, now)
    more = {} if overlay is None else {"flannel": overlay.as_dict()}
    return json.dumps(
        {
            "cluster": sight.cluster.name,
            "id": f"{sight.seen.id:016x}" if sight.seen else None,
            "time": now.isoformat(timespec="seconds"),
            "healthy": not verdict.problems,
            "leader": next((row.member for row in members if row.role == "leader"), None),
            "voters": len(sight.seen.voters) if sight.seen else None,
            "voters_wanted": len(sight.cluster.members),
            "members": [asdict(row) for row in members],
            "problems": [asdict(problem) for problem in verdict.problems],
            "advisories": {
                str(version): [one.as_dict(version) for one in found]
                for version, found in known_faults(sight).items()
            },
            "notes": [*verdict.notes, *_notes(overlay)],
            **more,
        },
    )


def _notes(overlay: FlannelStatus | None) -> tuple[str, ...]:
    return overlay.notes if overlay else ()


def show(
    sight: Sight,
    verdict: Verdict,
    now: datetime,
    *,
    output: str,
    stream: TextIO | None = None,
    overlay: FlannelStatus | None = None,
) -> None:
    """Print a cluster's status.

    Args:
        sight: what was seen.
        verdict: the judgement.
        now: the controller's time.
        output: `table` or `json`.
        stream: where to; standard output otherwise.
        overlay: flannel's network, where there is one.
    """
    stream = stream or sys.stdout
    if output == "json":
        print(as_json(sight, verdict, now, overlay), file=stream, flush=True)
        return
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _ENDLESS
    identity = f" ({sight.seen.id:016x})" if sight.seen else ""
    console.print(Text(f"etcd cluster {sight.cluster.name}{identity}", "bold"), soft_wrap=True)
    console.print(_table(sight, now, console.width))
    if overlay is not None:
        console.print(Text(f"flannel {overlay.network} in {overlay.prefix}", "bold"), soft_wrap=True)
        console.print(overlay.table())
    for problem in verdict.problems:
        console.print(Text(str(problem), "red"), soft_wrap=True)
    for note in [*verdict.notes, *_notes(overlay)]:
        console.print(Text(f"note: {note}", "yellow"), soft_wrap=True)
    console.print(_summary(sight, verdict), soft_wrap=True)


def _summary(sight: Sight, verdict: Verdict) -> Text:
    word, style = ("not healthy", "bold red") if verdict.problems else ("healthy", "bold green")
    count = len(sight.cluster.members)
    well = sum(state.endpoint.healthy and not state.endpoint.alarms for state in sight.hosts.values())
    voters = sight.voters
    told = f"quorum {quorum(voters)}" if voters == count else f"quorum {quorum(voters)} of {voters} voters"
    return Text(f"{sight.cluster.name}: {word}, {well} of {count} members healthy, {told}", style)


def _table(sight: Sight, now: datetime, width: int) -> Table:
    members = rows(sight, now)
    cells = [dict(zip(_COLUMNS, _cells(row), strict=True)) for row in members]
    shown = [column for column in _COLUMNS if any(line[column] for line in cells)]
    if width < _NARROW:
        shown = [column for column in shown if column not in {"id", "raft"}]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in shown:
        foldable = column == "state"
        table.add_column(
            column,
            justify="right" if column in _NUMBERS else "left",
            overflow="fold",
            no_wrap=not foldable,
            min_width=9 if foldable else None,
        )
    for row, line in zip(members, cells, strict=True):
        table.add_row(
            *(Text(line[column]) for column in shown), style=None if row.state == "healthy" else "red"
        )
    return table


def _cells(row: Row) -> list[str]:
    enabled = "" if row.enabled or row.service in {None, "absent"} else ", not at boot"
    return [
        row.member if row.host.rpartition("/")[2] == row.member else f"{row.member} ({row.host})",
        f"{row.state}: {row.why}" if row.why else row.state,
        row.id or "",
        row.version or "",
        row.role or "",
        "" if row.db_size is None else _bytes(row.db_size),
        "" if row.raft_index is None else str(row.raft_index),
        "" if row.certificate_days is None else f"{row.certificate_days} d",
        "" if row.ca_days is None else f"{row.ca_days} d",
        f"{(row.service or '').partition(' (')[0]}{enabled}",
        ", ".join(row.alarms),
        _clock(row.clock_skew),
        "" if row.snapshot_age is None else age(row.snapshot_age),
        str(len(row.aside)) if row.aside else "",
    ]


def _clock(skew: float | None) -> str:
    if skew is None:
        return ""
    # Hosts tell whole seconds.
    return f"{skew:+.0f} s" if abs(skew) >= 1 else "ok"


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < _KIB:
            return f"{size:.0f} {unit}"
        size /= _KIB
    return f"{size:.1f} GiB"

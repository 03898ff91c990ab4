"""Writes the head of docs/releases.md from the tables: `python -m etcd_steward.release_page docs/releases.md`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from etcd_steward import config_keys, versions
from etcd_steward.advisories import Advisory, advisories

__all__ = ["HOPS", "head", "put"]

# The suite writes what stands behind this line (tests/hops.py).
HOPS = "## Hops, measured by the suite\n"

_HEAD = """# Releases of etcd

<!-- Made by `python -m etcd_steward.release_page docs/releases.md` down to the hops, which the suite writes; a test compares. -->

## Lines

| Line | Newest known | Newest whose digests are carried, amd64 and arm64 | |
|---|---|---|---|
"""
_STATES = {True: "gets fixes", False: "ended: 3.4.45 of June 2026 is its last (CHANGELOG-3.4)"}
_BEHIND_LINES = """| 3.8 | | | not released; refused |

"Known" are the releases that the Go module proxy lists of `go.etcd.io/etcd/server/v3` (November 2026). What is trusted for a release without a
carried digest, and how to refuse it, stands in the [README](../README.md#what-is-trusted-in-a-release).

## Hops

One minor version at a time, every member on one release before the next begins. A line is left upwards only from its floor on:

| From | To | Not before | Source |
|---|---|---|---|
"""
_BEHIND_FLOORS = """
A cluster below the floor first takes a step to the newest release of its line; with `etcd_require_digest` to the newest that has a digest. To 3.6:
3.5.26 mends members that come back (etcd#20967), and `etcdutl check v2store` reads the log from 3.5.32 on (etcd#20809). With etcd's authentication
on there is no rolling way from 3.4 to 3.5 (etcd's guide to 3.5). 3.7 crashes on entries that 3.5 has left in the log: [upgrade.md](upgrade.md) tells how
that is kept from happening. Down, etcd goes from 3.7 to 3.6 and from 3.6 to 3.5 (`etcdctl downgrade`).

## Feature gates

| Line | Gates |
|---|---|
"""
_BEHIND_GATES = """
Any other name is refused before a host is touched, for the release that is wanted and for every one on the way; so are values of keys that take
a fixed list, and `LeaseCheckpointPersist` without `LeaseCheckpoint`.

## What is known against releases

`deploys/status.py` tells what the release that runs has, as notes and under `advisories` in its JSON; `deploys/etcd.py` and `deploys/upgrade.py` tell it
too, dry or not. No line of this table makes a run fail, but 3.5.0 to 3.5.2 are not installed unless `etcd_force_version = True`, and with
some `deploys/maintain.py` does not defragment. A dash means that the line does not have it; "not fixed" that no release of the line is without it.

| Number | Also | What | """


def head() -> str:
    """Write all of the page that comes from tables.

    Returns:
        Markdown, up to the section of measured hops.
    """
    text = _HEAD
    for line, newest in versions.NEWEST.items():
        carried = versions.newest_carried(line)
        default = ", the default" if carried == versions.DEFAULT else ""
        text += (
            f"| {line} | {newest} | {carried or 'none'}{default} | {_STATES[line in versions.MAINTAINED]} |\n"
        )
    text += _BEHIND_LINES
    lines = list(versions.NEWEST)
    for line, following in itertools.pairwise(lines):
        floor, source = versions.UPGRADE_FLOOR.get(line), versions.FLOOR_SOURCE.get(line)
        text += f"| {line} | {following} | {floor or 'any release'} | {source or 'https://etcd.io/docs/v3.6/upgrades/upgrade_3_5/'} |\n"
    text += _BEHIND_FLOORS
    for line in lines:
        gates = config_keys.values("feature-gates", versions.NEWEST[line])
        if gates:
            text += f"| {line} | {', '.join(f'`{gate}`' for gate in gates)} |\n"
    text += _BEHIND_GATES + " | ".join(f"Fixed in {line}" for line in lines) + " |\n"
    text += "|---|---|---|" + "---|" * len(lines) + "\n"
    return text + "".join(_row(one, lines) for one in advisories()) + "\n"


def put(page: Path) -> None:
    """Write the head into the page, and leave the measured hops as they are.

    Args:
        page: docs/releases.md.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, _, hops = text.partition(HOPS)
    page.write_text(head() + HOPS + (hops or "\nNone yet.\n"), encoding="utf-8")


def _row(one: Advisory, lines: list[str]) -> str:
    cells = [
        f"[{one.id}]({one.source})" + (f", {one.severity}" if one.severity else ""),
        ", ".join(one.aliases),
        one.what,
        *(_fixed(one, line) for line in lines),
    ]
    return f"| {' | '.join(cells)} |\n"


def _fixed(one: Advisory, line: str) -> str:
    if line not in one.lines:
        return "-"
    first, fixed = one.lines[line]
    since = f", has it since {line}.{first}" if first else ""
    return (f"{line}.{fixed}" if fixed is not None else "not fixed") + since


if __name__ == "__main__":
    put(Path(sys.argv[1]))

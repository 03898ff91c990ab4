"""The table of hops in docs/releases.md: what each cost its writer, as the last run that did it measured it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tests import pages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

    from tests.e2e.writer import Report

PROPERTY = "hop"
HEADING = "## Hops, measured by the suite"
HEAD = (
    "| Hop | Way | Members | Acknowledged | Failed | Lost | Longest stall |\n|---|---|---|---|---|---|---|\n"
)
INTRODUCTION = """
`scripts/test --all --hops docs/releases.md tests/e2e/test_chain.py tests/e2e/test_kubelet.py` writes this table: a client writes about 50 keys a second through all members
while `deploys/upgrade.py` works, repeats elsewhere what failed, and reads everything back from every member in the end. A lost acknowledged write
fails the test, and so do two members that are down at once.

"""


@dataclass(frozen=True)
class Hop:
    """One row.

    Args:
        before: the release before.
        after: the release after.
        way: how it was gone.
        members: the hosts' families, and whether each is real.
        acknowledged: writes that etcd confirmed.
        failed: tries that were not confirmed.
        lost: confirmed writes that were not there in the end.
        stall_ms: the longest time without a confirmed write.
    """

    before: str
    after: str
    way: str
    members: str
    acknowledged: int
    failed: int
    lost: int
    stall_ms: int

    @classmethod
    def of(cls, before: str, after: str, way: str, members: str, report: Report) -> Hop:
        """Make a row of what a writer has seen."""
        figures = report.acknowledged, report.failed, len(report.lost), report.longest_stall_ms
        return cls(before, after, way, members, *figures)

    def note(self, request: pytest.FixtureRequest) -> None:
        """Leave the row with the test's report, which comes from a worker to where the table is written."""
        request.node.user_properties.append((PROPERTY, asdict(self)))

    @property
    def row(self) -> str:
        cells = (
            f"{self.before} to {self.after}",
            self.way,
            self.members,
            str(self.acknowledged),
            str(self.failed),
            str(self.lost),
            f"{self.stall_ms / 1000:.1f} s",
        )
        return f"| {' | '.join(cells)} |\n"


def measured(reports: Iterable[pytest.TestReport]) -> list[Hop]:
    """Find the rows that tests left, in the order of the tests' end."""
    found = {
        tuple(told.items()): Hop(**told)
        for report in reports
        if report.when == "call" and report.passed
        for name, told in report.user_properties
        if name == PROPERTY
    }
    return list(found.values())


def write(page: Path, hops: Iterable[Hop]) -> None:
    """Put rows into the section of a page, made where it is missing; rows of other hops and ways stay.

    Args:
        page: such as docs/releases.md.
        hops: what was measured now.
    """
    pages.put_rows(page, HEADING, INTRODUCTION, HEAD, [hop.row for hop in hops], keys=3, place=_place)


def _place(row: str) -> tuple[bool, list[list[int]], str]:
    """Upwards first, each from the lowest."""
    hop, way, *_ = pages.cells(row)
    ends = [[int(part) for part in version.split(".")] for version in hop.split(" to ")]
    return ends[0] > ends[1], ends if ends[0] < ends[1] else [[-part for part in end] for end in ends], way

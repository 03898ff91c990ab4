"""The table in docs/faults.md: what a client lost and waited for while something was changed, cut or broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import pages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

HEADING = "## Cuts and faults, measured by the suite"
HEAD = "| What happened | Test | Acknowledged | Failed | Lost | Longest stall |\n|---|---|---|---|---|---|\n"
INTRODUCTION = """
`scripts/test --all --faults docs/faults.md tests/e2e` writes this table. A client writes about 50 keys a second through all members, repeats elsewhere what
failed, and reads everything back from every member in the end. A lost acknowledged write fails the test. *Failed* counts tries: a member that is down
refuses one of three. Hops between releases have a table of their own in [releases.md](releases.md).

"""


def write(page: Path, reports: Iterable[pytest.TestReport]) -> None:
    """Put what tests that passed have told into the page; rows of other tests stay.

    Args:
        page: such as docs/faults.md.
        reports: of all tests.
    """
    rows = [
        row(report.nodeid, told)
        for report in reports
        if report.when == "call" and report.passed and not report.user_properties
        for told in getattr(report, "told", ())
    ]
    pages.put_rows(page, HEADING, INTRODUCTION, HEAD, rows, keys=2, place=str)


def row(test: str, told: dict[str, str | int]) -> str:
    """Make a row of what a test told."""
    name = test.partition("[")[0].rpartition("::")[2]
    stall = f"{int(told['stall_ms']) / 1000:.1f} s"
    texts = (told["what"], f"`{name}`", told["acknowledged"], told["failed"], told["lost"], stall)
    return f"| {' | '.join(map(str, texts))} |\n"

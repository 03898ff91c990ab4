"""Tables in pages of docs/ that the suite writes itself: rows that were measured now replace their like, others stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def cells(row: str) -> list[str]:
    """Give the texts of a row of a table."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def put_rows(
    page: Path,
    heading: str,
    introduction: str,
    head: str,
    rows: Iterable[str],
    *,
    keys: int,
    place: Callable[[str], Any],
) -> None:
    """Put rows into the table of a section, made where it is missing.

    Args:
        page: such as docs/releases.md.
        heading: the section's, with its signs.
        introduction: what stands above the table.
        head: the table's two lines above the rows.
        rows: what was measured now.
        keys: how many of the first cells say what a row is about.
        place: gives a row's place among the others.
    """
    text = page.read_text() if page.exists() else ""
    before, _, rest = text.partition(f"{heading}\n")
    inside, following, after = rest.partition("\n## ")
    lines = inside.splitlines(keepends=True)
    table = [line for line in lines if line.startswith("| ") and line not in head]
    kept = {tuple(cells(line)[:keys]): line for line in table}
    kept |= {tuple(cells(row)[:keys]): row for row in rows}
    body = head + "".join(sorted(kept.values(), key=place))
    page.write_text(f"{before.rstrip()}\n\n{heading}\n{introduction}{body}{following}{after}".lstrip())

"""Known faults of etcd's releases: which releases have them, and the next that does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etcd_steward.versions import Version

__all__ = ["Advisory", "advisories", "against"]


@dataclass(frozen=True)
class Advisory:
    """A fault that some releases have.

    Args:
        id: its number, such as "CVE-2026-33413", or upstream's issue or pull request where it has none.
        aliases: its other numbers.
        kind: whether it bears on what may be read and done by whom, or on the data itself.
        severity: the word that upstream has said for it, or None where none was found.
        what: what is wrong.
        source: the address where that is written.
        lines: for each minor version that has it, the first patch release with it, and the first without it or None.
        refuse: whether such a release is not installed unless the operator insists.
        bears_on: what must not be done with such a release, such as "defragment"; empty if nothing.
    """

    id: str
    aliases: tuple[str, ...]
    kind: Literal["security", "data"]
    severity: Literal["low", "moderate", "high"] | None
    what: str
    source: str
    lines: Mapping[str, tuple[int, int | None]]
    refuse: bool = False
    bears_on: str = ""

    def has(self, version: Version) -> bool:
        """Tell whether a release has the fault.

        Args:
            version: the release.
        """
        first, fixed = self.lines.get(version.minor_line, (0, 0))
        return version.patch >= first and (fixed is None or version.patch < fixed)

    def cure(self, version: Version) -> str | None:
        """Name the next release of the same line without the fault.

        Args:
            version: a release that has it.

        Returns:
            Such as "3.5.33", or None where no release of the line is without it.
        """
        _, fixed = self.lines[version.minor_line]
        return None if fixed is None else f"{version.minor_line}.{fixed}"

    def told(self, version: Version) -> str:
        """Say it in one sentence.

        Args:
            version: a release that has it.
        """
        cure = self.cure(version)
        return f"{self.what}; " + (f"fixed in {cure}" if cure else f"not fixed in {version.minor_line}")

    def as_dict(self, version: Version) -> dict[str, Any]:
        """Write it down as `deploys/status.py` prints it for machines.

        Args:
            version: a release that has it.
        """
        return {
            "id": self.id,
            "aliases": list(self.aliases),
            "kind": self.kind,
            "severity": self.severity,
            "what": self.what,
            "fixed_in": self.cure(version),
            "source": self.source,
        }


@cache
def advisories() -> tuple[Advisory, ...]:
    """Read all that are known.

    Returns:
        The advisories, in the order of the file.
    """
    text = resources.files("etcd_steward.data").joinpath("advisories.json").read_text(encoding="utf-8")
    return tuple(
        Advisory(
            id=one["id"],
            aliases=tuple(one["aliases"]),
            kind=one["kind"],
            severity=one["severity"],
            what=one["what"],
            source=one["source"],
            lines={line: (bounds["from"], bounds["fixed"]) for line, bounds in one["lines"].items()},
            refuse=one.get("refuse", False),
            bears_on=one.get("bears_on", ""),
        )
        for one in json.loads(text)["advisories"]
    )


def against(version: Version) -> list[Advisory]:
    """List what a release has.

    Args:
        version: the release.

    Returns:
        The advisories; those with a cure in the same line first.
    """
    found = [one for one in advisories() if one.has(version)]
    return sorted(found, key=lambda one: one.cure(version) is None)

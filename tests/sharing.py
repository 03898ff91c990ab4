"""How tests are shared out: among workers that run side by side, and among parts of a run that is too long for one.

The unit of both is a file, as its tests may share clusters. Files on targets come after all others, the longest first, so
that no worker begins with the longest when the other is done.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RECORDED = Path(__file__).with_name("data") / "seconds.json"
# What a test takes that nobody has measured yet.
SECONDS_ON_TARGETS, SECONDS = 30.0, 0.1


def recorded() -> dict[str, float]:
    """Give the seconds that each test on targets took, where they were measured (`--record-seconds`)."""
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def record(reports: Iterable[pytest.TestReport]) -> None:
    """Write down what tests on targets took in this run; other tests keep their record."""
    took: Counter[str] = Counter()
    for report in reports:
        if hasattr(report, "on_targets"):
            took[report.nodeid] += report.duration
    now = recorded() | {name: round(seconds, 1) for name, seconds in took.items()}
    RECORDED.write_text(json.dumps(dict(sorted(now.items())), indent=1) + "\n")


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def seconds_of(items: Sequence[pytest.Item], known: Mapping[str, float]) -> dict[str, float]:
    """Estimate what each file of tests takes."""
    found: Counter[str] = Counter()
    for item in items:
        guessed = SECONDS_ON_TARGETS if item.get_closest_marker("target") else SECONDS
        found[file_of(item)] += known.get(item.nodeid, guessed)
    return dict(found)


def parts(seconds: Mapping[str, float], count: int) -> list[set[str]]:
    """Share files out to parts of about the same length: the longest first, each to the part that is the shortest so far."""
    shares: list[set[str]] = [set() for _ in range(count)]
    lengths = [0.0] * count
    for name, length in sorted(seconds.items(), key=lambda one: (-one[1], one[0])):
        shortest = lengths.index(min(lengths))
        shares[shortest].add(name)
        lengths[shortest] += length
    return shares


def part_of(text: str) -> tuple[int, int]:
    """Read which part of how many is meant, such as 1/3."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise pytest.UsageError(f"--part: found {text!r}, wanted a part of the whole, such as 1/3")
    return int(number), int(count)


def share_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests of the chosen part alone, and bring all into the order in which they run."""
    seconds = seconds_of(items, recorded())
    if config.getoption("part"):
        number, count = part_of(config.getoption("part"))
        mine = parts(seconds, count)[number - 1]
        config.hook.pytest_deselected(items=[item for item in items if file_of(item) not in mine])
        items[:] = [item for item in items if file_of(item) in mine]
    if workers(config):
        on_targets = {file_of(item) for item in items if item.get_closest_marker("target")}
        # Sorting keeps the order of what is equal: within a file, and of the files that need no targets.
        items.sort(
            key=lambda item: seconds[file_of(item)] if file_of(item) in on_targets else 0, reverse=True
        )
        items.sort(key=lambda item: file_of(item) in on_targets)


def workers(config: pytest.Config) -> int:
    """Say how many workers run side by side; 0 where this process runs the tests itself."""
    if hasattr(config, "workerinput"):
        return int(config.workerinput["workercount"])
    return int(config.getoption("numprocesses", None) or 0)


def one_line_each(config: pytest.Config) -> None:
    """Keep pytest from printing a line when a worker begins a test, beside the line with its result."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and workers(config):
        reporter.write_ensure_prefix = lambda *_, **__: None

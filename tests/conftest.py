"""Fixtures around the test targets, and result lines that say what is a real system and what a stand-in."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import sharing
from tests.e2e.writer import TOLD
from tests.targets import bases, hosts, leftovers, mirror
from tests.targets import images as target_images
from tests.targets.common import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# A busy machine is no failure. A server that judges a change tries the same examples each time; others look for new ones.
hypothesis.settings.register_profile("untimed", deadline=None, derandomize="ETCDTEST_SAME" in os.environ)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("etcd-steward")
    group.addoption("--part", metavar="K/N", help="run the tests of one of N parts of about the same length")
    group.addoption(
        "--record-seconds", action="store_true", help=f"write what tests took into {sharing.RECORDED.name}"
    )


@pytest.hookimpl(trylast=True)  # the terminal is there by then
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("part"):
        sharing.part_of(config.getoption("part"))  # a wrong one ends the run before anything is made
    if sharing.workers(config) and not hasattr(config, "workerinput"):
        with suppress(OSError):  # without docker nothing is known of targets, and nothing can run on them
            bases.mode()  # asked once: workers that found different answers would find different tests
        sharing.one_line_each(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    sharing.share_out(config, items)


def pytest_report_header() -> str:
    chosen = os.environ.get("ETCDTEST_BASES", "auto")
    found = [f"{_built(origin)} {origin}" for origin in ("real", "stand-in")]
    return f"targets (ETCDTEST_BASES={chosen}): {'; '.join(found)}"


def _built(origin: str) -> str:
    """Name the families of which an image with this label is there already."""
    argv = ["docker", "images", "--filter", f"label=etcdtest.base={origin}", "--format", "{{.Repository}}"]
    try:
        built = set(run(*argv, check=False).stdout.split())
    except OSError:
        return "none yet"
    names = [name for name in bases.FAMILIES if f"etcdtest/{name}" in built]
    return ", ".join(names) or "none yet"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    hosts.SEEN.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if item.get_closest_marker("target"):
        families = _families(item)
        report.on_targets = [target_images.title(name) for name in bases.FAMILIES if name in families]
        # With the report it comes from a worker to where the summary is printed.
        report.told = [*TOLD]
        TOLD.clear()
    return report


def _families(item: pytest.Item) -> set[str]:
    """Name the families of a test: of its fixtures and of what it started, else of every open lab."""
    fixtures = getattr(item, "funcargs", {}).values()
    labs = [host for value in fixtures if isinstance(value, hosts.Lab) for host in value.hosts.values()]
    found = {host.family for host in (*labs, *fixtures) if isinstance(host, hosts.Host)}
    return found | hosts.SEEN or set().union(*hosts.OPEN.values())


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    on_targets = getattr(report, "on_targets", None)
    if report.when == "call" and on_targets and report.outcome in ("passed", "failed"):
        letter = "." if report.passed else "F"
        return report.outcome, letter, f"{report.outcome.upper()} on {' '.join(on_targets)}"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [
        report
        for found in terminalreporter.stats.values()
        for report in found
        if isinstance(report, pytest.TestReport)
    ]
    on_targets = [report for report in reports if hasattr(report, "on_targets")]
    for report in on_targets:
        for line in report.told:
            terminalreporter.write_line(f"writes during {line}")
    if config.getoption("record_seconds"):
        sharing.record(reports)
    called = [report for report in on_targets if report.when == "call"]
    if called:
        tally = Counter(name for report in called for name in report.on_targets)
        terminalreporter.write_line(
            f"times: {_minutes(on_targets)} on targets, {_minutes(set(reports) - set(on_targets))} without, "
            f"shared by {sharing.workers(config) or 1} worker(s)"
        )
        told = ", ".join(f"{name} {count}" for name, count in sorted(tally.items()))
        terminalreporter.write_line(f"tests by target: {told}")


def _minutes(reports: Iterable[pytest.TestReport]) -> str:
    return f"{sum(report.duration for report in reports) / 60:.1f} min"


@pytest.fixture(scope="session")
def docker_answers() -> None:
    """Fail, rather than skip, when there is no Docker: scripts/test starts it."""
    try:
        found = run("docker", "info", check=False)
    except OSError as error:
        pytest.fail(f"found no docker ({error}); next: run scripts/test, which installs and starts it")
    if found.returncode != 0:
        pytest.fail(
            f"Docker does not answer: {found.stderr.strip()}; next: run scripts/test, which starts it"
        )
    leftovers.remove_leftovers()


@pytest.fixture(scope="session")
def images(docker_answers: None) -> Callable[[str], str]:
    """Give the function that makes a family's image and returns its tag."""
    return target_images.build


@pytest.fixture(scope="session")
def mirror_url() -> Iterator[str]:
    """Give a release mirror's address; each of mirror.VERSIONS is made when it is first asked for."""
    with mirror.serve(on_demand=True) as url:
        yield url


@pytest.fixture
def lab(request: pytest.FixtureRequest, docker_answers: None) -> Iterator[hosts.Lab]:
    """Give an empty lab that lives as long as the test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:30].strip("-")
    with hosts.Lab(f"{name}-{os.getpid()}") as opened:
        yield opened

"""Fixtures around the test targets, and result lines that say what is a real system and what a stand-in."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.e2e.writer import TOLD
from tests.targets import bases, hosts, leftovers, mirror
from tests.targets import images as target_images
from tests.targets.common import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TALLY = pytest.StashKey[Counter]()

# A busy machine is no failure. A server that judges a change tries the same examples each time; others look for new ones.
hypothesis.settings.register_profile("untimed", deadline=None, derandomize="ETCDTEST_SAME" in os.environ)
hypothesis.settings.load_profile("untimed")


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
        if report.when == "call":
            item.config.stash.setdefault(TALLY, Counter()).update(report.on_targets)
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tally = terminalreporter.config.stash.get(TALLY, None)
    if tally:
        text = ", ".join(f"{name} {count}" for name, count in tally.items())
        terminalreporter.write_line(f"tests by target: {text}")
    for line in TOLD:
        terminalreporter.write_line(f"writes during {line}")


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

"""Fixtures around the test targets, and result lines that say what is a real system and what a stand-in."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import faults, hops, sharing
from tests.e2e.writer import TOLD
from tests.targets import bases, hosts, leftovers, mirror, prebuild
from tests.targets import images as target_images
from tests.targets.common import TELL, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RUN = pytest.StashKey[ExitStack]()  # what begins and ends with the run

# A busy machine is no failure. A server that judges a change tries the same examples each time; others look for new ones.
hypothesis.settings.register_profile("untimed", deadline=None, derandomize="ETCDTEST_SAME" in os.environ)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("etcd-steward")
    group.addoption("--part", metavar="K/N", help="run the tests of one of N parts of about the same length")
    group.addoption(
        "--record-seconds", action="store_true", help=f"write what tests took into {sharing.RECORDED.name}"
    )
    group.addoption(
        "--hops", metavar="PAGE", type=Path, help="write what each hop cost its writer into a page"
    )
    group.addoption(
        "--faults",
        metavar="PAGE",
        type=Path,
        help="write what each cut and fault cost its writer into a page",
    )


@pytest.hookimpl(trylast=True)  # the terminal is there by then
def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUN] = ExitStack()
    if config.getoption("part"):
        sharing.part_of(config.getoption("part"))  # a wrong one ends the run before anything is made
    if sharing.workers(config) and not hasattr(config, "workerinput"):
        with suppress(OSError):  # without docker nothing is known of targets, and nothing can run on them
            bases.mode()  # asked once: workers that found different answers would find different tests
            mirror.upstream_answers()
        sharing.one_line_each(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    sharing.share_out(config, items)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[RUN].close()  # before pytest's summary, which has the last word


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[RUN].close()  # also where no session came about


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist starts its workers
def pytest_sessionstart(session: pytest.Session) -> None:
    # A worker of pytest-xdist has no terminal: what it says is told by the process that started it.
    if TELL not in os.environ:
        session.config.stash[RUN].enter_context(_told(session.config))


@contextmanager
def _told(config: pytest.Config) -> Iterator[None]:
    """Print what images, archives and programs under way say, while pytest keeps the output of tests to itself."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    ended = threading.Event()
    with tempfile.NamedTemporaryFile("r", prefix="etcdtest-told-") as file:

        def tell() -> None:
            while not ended.wait(0.5):
                for line in file:
                    terminal.ensure_newline()
                    terminal.write_line(line.rstrip())

        thread = threading.Thread(target=tell, daemon=True)
        os.environ[TELL] = file.name
        thread.start()
        try:
            yield
        finally:
            del os.environ[TELL]
            ended.set()
            thread.join()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build what the chosen tests need; of several workers one does."""
    chosen = [item for item in session.items if item.get_closest_marker("target")]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    if chosen and worker == "gw0" and not session.config.option.collectonly:
        needs = prebuild.Needs()
        for item in chosen:
            fixtures = [one.func for found in item._fixtureinfo.name2fixturedefs.values() for one in found]
            parameters = [item.callspec.params] if hasattr(item, "callspec") else []
            words = set().union(*(prebuild.words(one, parameters) for one in (item.function, *fixtures)))
            needs.of(words, etcd="mirror_url" in item.fixturenames)
        session.config.stash[RUN].enter_context(prebuild.beside(needs))


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
    hosts.USED.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if item.get_closest_marker("target"):
        families = _families(item)
        report.on_targets = [target_images.title(name) for name in bases.FAMILIES if name in families]
        # With the report it comes from a worker to where the summary is printed.
        report.told = [*TOLD]
        TOLD.clear()
        report.with_programs = [f"{name} ({of})" for name, of in sorted(_programs(item).items())]
    return report


def _families(item: pytest.Item) -> set[str]:
    """Name the families of a test: of its fixtures and of what it started, else of every open lab."""
    fixtures = getattr(item, "funcargs", {}).values()
    labs = [host for value in fixtures if isinstance(value, hosts.Lab) for host in value.hosts.values()]
    found = {host.family for host in (*labs, *fixtures) if isinstance(host, hosts.Host)}
    return found | hosts.SEEN or set().union(*hosts.OPEN.values())


def _programs(item: pytest.Item) -> dict[str, str]:
    """Name the programs of a test: of its fixtures' labs and of what it ran, else of every open lab."""
    fixtures = getattr(item, "funcargs", {}).values()
    labs = [getattr(value, "lab", value) for value in fixtures]
    found = dict(hosts.USED)
    for lab in labs:
        if isinstance(lab, hosts.Lab):
            found |= hosts.RUNNING.get(lab.name, {})
    return found or {name: of for running in hosts.RUNNING.values() for name, of in running.items()}


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    on_targets = getattr(report, "on_targets", None)
    if report.when == "call" and on_targets and report.outcome in ("passed", "failed"):
        letter = "." if report.passed else "F"
        word = f"{report.outcome.upper()} on {' '.join(on_targets)}"
        used = getattr(report, "with_programs", None)
        return report.outcome, letter, f"{word} with {', '.join(used)}" if used else word
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
            terminalreporter.write_line(
                "writes during {what}: {acknowledged} acknowledged, {failed} failed, longest stall {stall_ms} ms, "
                "lost {lost}".format(**line)
            )
    if config.getoption("record_seconds"):
        sharing.record(reports)
    if config.getoption("hops"):
        hops.write(config.getoption("hops"), hops.measured(reports))
    if config.getoption("faults"):
        faults.write(config.getoption("faults"), reports)
    called = [report for report in on_targets if report.when == "call"]
    if called:
        terminalreporter.write_line(
            f"times: {_minutes(on_targets)} on targets, {_minutes(set(reports) - set(on_targets))} without, "
            f"shared by {sharing.workers(config) or 1} worker(s)"
        )
        for title, kept in (("target", "on_targets"), ("program", "with_programs")):
            tally = Counter(name for report in called for name in getattr(report, kept))
            told = ", ".join(f"{name} {count}" for name, count in sorted(tally.items()))
            terminalreporter.write_line(f"tests by {title}: {told or 'none'}")


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

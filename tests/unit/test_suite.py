"""The suite's own means: what is an outage to whoever watches, and how tests are shared out."""

from __future__ import annotations

import http.client
import math
import ssl
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import faults, hops, pages, sharing
from tests.e2e import watching
from tests.e2e.watching import Knocking, Span, overlaps, spans
from tests.e2e.writer import STALL_MS, Report

HOST = SimpleNamespace(name="n1", address="127.0.0.1")


def silent(monkeypatch: pytest.MonkeyPatch, answer: object) -> str:
    """Let a member's endpoint answer so, and say whether whoever knocks takes it for away."""

    def get(*_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(watching, "get", get)
    monkeypatch.setattr(watching, "client_context", lambda *_: None)
    return Knocking(SimpleNamespace(hosts=[HOST]))._silent(HOST)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b'{"etcdserver":"3.6.16"}'),
        (503, b'{"health":"false","reason":"RAFT NO LEADER"}'),
        (503, b'{"health":"false","reason":"QGET ERROR:etcdserver: leader changed"}'),
        (503, b'{"health":"false","reason":"etcdserver: request timed out"}'),
        (404, b"404 page not found"),
        ssl.SSLError(1, "tlsv1 alert unknown ca"),
    ],
    ids=str,
)
def test_a_member_that_answers_anything_is_there(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    assert silent(monkeypatch, answer) == ""


@pytest.mark.parametrize(
    "answer",
    [
        ConnectionRefusedError(111, "refused"),
        ConnectionResetError(104, "reset"),
        TimeoutError("timed out"),
        http.client.RemoteDisconnected("closed"),
        ssl.SSLEOFError(8, "EOF in the middle of a handshake"),
    ],
    ids=repr,
)
def test_a_member_that_answers_nothing_is_away(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    assert silent(monkeypatch, answer)


def test_two_members_are_down_at_once_also_when_one_has_not_come_back() -> None:
    log = {
        "n1": [(1.0, "received signal; shutting down"), (3.0, "ready to serve client requests")],
        "n2": [(4.0, "received signal; shutting down"), (4.1, "closing etcd server")],
        "n3": [(5.0, "received signal; shutting down"), (5.5, "serving client traffic securely")],
    }
    site = SimpleNamespace(
        hosts=[SimpleNamespace(name=name) for name in log],
        log=lambda host: [f'{{"ts":{at},"msg":"{text}"}}' for at, text in log[host.name]],
    )
    told = spans(site, 0, "received signal", ("ready to serve client", "serving client traffic"))
    assert told == [Span("n1", 1.0, 3.0), Span("n2", 4.0, math.inf), Span("n3", 5.0, 5.5)]
    assert [(one.name, other.name) for one, other in overlaps(told)] == [("n2", "n3")]
    assert overlaps([Span("n1", 1, 3), Span("n1", 2, 4), Span("n2", 4, 5)]) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"acknowledged": 0},
        {"lost": ["writer/1 on n1"]},
        {"disordered": ["writer/2: 7 after 9"]},
        {"longest_stall_ms": STALL_MS},
    ],
    ids=str,
)
def test_users_are_not_served_when_a_write_is_lost_or_waits_for_long(broken: dict) -> None:
    fine = {"acknowledged": 10, "failed": 3, "longest_stall_ms": 900}
    Report(**fine).served()
    with pytest.raises(AssertionError):
        Report(**{**fine, **broken}).served()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_parts_of_a_run_are_the_whole_of_it_and_about_equally_long(count: int) -> None:
    seconds = {f"tests/e2e/test_{number}.py": float(number * 37 % 101) for number in range(40)}
    shares = sharing.parts(seconds, count)
    assert sorted(name for share in shares for name in share) == sorted(seconds)
    assert shares == sharing.parts(dict(reversed(seconds.items())), count), "in every process the same"
    lengths = [sum(seconds[name] for name in share) for share in shares]
    assert max(lengths) - min(lengths) <= max(seconds.values())


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/4"])
def test_a_part_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(pytest.UsageError):
        sharing.part_of(text)


def test_the_table_of_faults_keeps_rows_of_tests_that_did_not_run_or_failed(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    page.write_text("# Faults\n")

    def report(name: str, outcome: str, **told: str | int) -> pytest.TestReport:
        place = ("tests/e2e/test_x.py", 1, name)
        made = pytest.TestReport(f"tests/e2e/test_x.py::{name}[debian]", place, {}, outcome, None, "call")
        made.told = [{"what": "a cut", "acknowledged": 1, "failed": 2, "lost": 0, "stall_ms": 330} | told]
        return made

    faults.write(page, [report("test_a", "passed"), report("test_b", "passed")])
    faults.write(page, [report("test_a", "passed", acknowledged=9), report("test_b", "failed", lost=5)])
    rows = [pages.cells(line) for line in page.read_text().splitlines() if "`test_" in line]
    assert rows == [
        ["a cut", "`test_a`", "9", "2", "0", "0.3 s"],
        ["a cut", "`test_b`", "1", "2", "0", "0.3 s"],
    ]


def test_the_table_of_hops_keeps_what_was_not_measured_now_and_what_stands_around_it(tmp_path: Path) -> None:
    page = tmp_path / "releases.md"
    page.write_text("# Releases\n\nBefore.\n\n## After\n\nText.\n")
    up = hops.Hop("3.5.34", "3.6.16", "whole", "alpine(real)", 900, 40, 0, 412)
    down = hops.Hop("3.6.16", "3.5.34", "whole", "alpine(real)", 800, 30, 0, 250)
    low = hops.Hop("3.4.23", "3.5.34", "whole", "alpine(real)", 700, 20, 0, 300)
    hops.write(page, [down, up])
    hops.write(page, [low, replace(up, acknowledged=1000)])
    text = page.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| 3.")]
    assert rows == [one.row.strip() for one in (low, replace(up, acknowledged=1000), down)]
    assert text.index("Before.") < text.index("## After") < text.index("Text.") < text.index(hops.HEADING)
    hops.write(page, [])
    assert page.read_text() == text, "nothing measured changes nothing"

"""The list of alarms, asked for by the real shell of a stand-in for etcdctl."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from etcd_steward import tending
from etcd_steward.shell import script
from etcd_steward.tending import raised, serving
from tests.engine.fakes import World

if TYPE_CHECKING:
    from pathlib import Path

TWO = "echo 'memberID:8630161756594109333 alarm:NOSPACE '; echo 'memberID:77 alarm:CORRUPT '"
FAILS = "echo '{\"level\":\"warn\"}' >&2; echo 'Error: context deadline exceeded'; exit 1"
# The first question falls into an election.
ONCE = 'if [ -e "$0.asked" ]; then exit 0; fi; : >"$0.asked"; echo Error: no leader; exit 1'


@pytest.mark.parametrize(
    ("etcdctl", "seconds", "told"),
    [
        (TWO, 5, ["alarm NOSPACE", "alarm CORRUPT", "listed"]),
        ("exit 0", 5, ["listed"]),
        (FAILS, 0, ["refused Error: context deadline exceeded"]),
        (ONCE, 5, ["listed"]),
    ],
    ids=["two", "none", "no answer", "an answer at last"],
)
def test_the_list_of_alarms_is_told_only_where_etcd_has_answered(
    tmp_path: Path, etcdctl: str, seconds: int, told: list[str]
) -> None:
    (tmp_path / "etcdctl").write_text(f"#!/bin/sh\n{etcdctl}\n")
    (tmp_path / "etcdctl").chmod(0o755)
    values = {"bin_dir": str(tmp_path), "ca": "a", "cert": "b", "key": "c", "endpoint": "x"}
    text = script("ctl.sh", "alarms.sh", **values, seconds=seconds)
    done = subprocess.run(["sh", "-c", text + ""], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == told


@pytest.mark.parametrize(
    ("lines", "planned", "told"),
    [
        (["listed"], (), ""),
        (["alarm NOSPACE", "listed"], ("NOSPACE",), ""),
        (["alarm NOSPACE", "listed"], (), "run again, which ends it"),
        (["alarm NOSPACE", "alarm CORRUPT", "listed"], ("NOSPACE",), "found the alarm CORRUPT raised"),
        (["alarm NOSPACE"], ("NOSPACE",), "found no list of the alarms"),
        ([], (), "(no answer)"),
    ],
)
def test_only_an_answered_list_without_a_new_alarm_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], planned: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr(tending, "ask", lambda _run, _host, _question: lines)
    found = raised(SimpleNamespace(), World(tmp_path).cluster.members[0], planned)  # type: ignore[arg-type]
    assert told in found
    assert bool(found) is bool(told)


def test_a_voter_without_a_client_url_does_not_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    member = world.cluster.members[0]
    asked = []

    def ask(_run: object, _host: str, question: str) -> list[str]:
        asked.append(next(line for line in (question + "").splitlines() if line.startswith("endpoints=")))
        return [world.status(member, member).replace("status ", f"status {member.client_url} ", 1)]

    monkeypatch.setattr(tending, "ask", ask)
    found = serving(SimpleNamespace(), member, {"n1": member.client_url, "unstarted": ""}, 2)  # type: ignore[arg-type]
    assert list(found) == ["n1"]
    assert asked == [f"endpoints={member.client_url}"]

"""scripts/demo, run as a newcomer runs it, under a name of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.targets.common import TELL, docker

if TYPE_CHECKING:
    from collections.abc import Iterator

REPO = Path(__file__).resolve().parents[2]
NAME = f"demo-{os.getpid()}"
pytestmark = pytest.mark.target


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REPO / "scripts/demo", *arguments],
        env={name: value for name, value in os.environ.items() if name != TELL} | {"ETCD_DEMO": NAME},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def first(docker_answers: None) -> Iterator[subprocess.CompletedProcess[str]]:
    """Give the first call's output; whatever it left is removed."""
    yield run()
    run("--down")


def containers() -> list[str]:
    return docker("ps", "-a", "--filter", f"name=^{NAME}-", "--format", "{{.Names}}").split()


def test_one_command_makes_a_healthy_cluster_of_three_members(
    first: subprocess.CompletedProcess[str],
) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    assert "changed: " in first.stderr
    endpoints = docker("exec", f"{NAME}-etcd-1", "sh", "-lc", "etcdctl endpoint health 2>&1")
    assert endpoints.count("is healthy") == 3, endpoints


def test_the_second_call_says_that_nothing_changed(first: subprocess.CompletedProcess[str]) -> None:
    again = run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "==> no changes" in again.stderr.splitlines()


def test_an_authority_of_the_demo_never_lies_outside_its_own_folder(
    first: subprocess.CompletedProcess[str],
) -> None:
    assert (REPO / ".state" / NAME / "pki/demo/ca-key.pem").exists()
    assert not (REPO / "pki/demo").exists()


def test_an_interrupted_first_call_is_made_good_by_the_next(first: subprocess.CompletedProcess[str]) -> None:
    (REPO / ".state" / NAME / "inventory.json").unlink()  # it is written last
    again = run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(containers()) == 3


def test_down_removes_the_containers_the_network_and_the_folder(
    first: subprocess.CompletedProcess[str],
) -> None:
    assert len(containers()) == 3
    gone = run("--down")
    assert gone.returncode == 0, gone.stderr
    assert containers() == []
    assert docker("network", "ls", "-q", "--filter", f"name=etcd-steward-{NAME}") == ""
    assert not (REPO / ".state" / NAME).exists()
    assert run("--down").returncode == 0

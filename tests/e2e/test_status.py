"""Status and the facts, by the command line: what is printed where, and the exit status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Outcome, Site

pytestmark = pytest.mark.target

MIXED = ("alpine", "ubuntu", "centos")
FACTS = {
    "platform.Platform": "supported",
    "health.Health": "healthy",
    "certificates.Certificates": "/etc/etcd/pki/server.pem",
    "versions.Versions": "running",
    "member.Member": "id",
}


@pytest.fixture
def site(shared: Callable[..., Site]) -> Site:
    return shared(MIXED)


def status(site: Site, *flags: str, **options: str) -> Outcome:
    return site.run(*flags, "deploys/status.py", **options)


def states(outcome: Outcome) -> list[str]:
    return [member["state"] for member in json.loads(outcome.out)["members"]]


@pytest.mark.parametrize("mode", ["--parallel=3", "--serial", "--no-wait"])
def test_a_healthy_cluster_is_told_with_one_command_for_each_host(site: Site, mode: str) -> None:
    outcome = status(site, "-y", "-vv", mode).unchanged()
    assert outcome.commands == {site.name(host): 1 for host in site.hosts}
    assert outcome.out.count("etcd cluster etcd") == 1
    assert outcome.out.count(" healthy ") == 3


def test_json_goes_to_standard_output_alone(site: Site) -> None:
    value = json.loads(status(site, "-y", "--data=etcd_output=json").succeeded().out)
    assert value["healthy"] is True
    assert value["id"] == f"{site.cluster_ids().pop():016x}"
    assert [member["member"] for member in value["members"]] == ["n1", "n2", "n3"]


def test_with_json_of_pyinfra_the_table_goes_to_standard_error(site: Site) -> None:
    outcome = status(site, "-y", "--json").succeeded()
    assert json.loads(outcome.out)["results"]["failed_hosts"] == []
    assert "etcd cluster etcd" in outcome.err


def test_the_exit_status_without_yes_is_that_of_pyinfra(site: Site) -> None:
    assert status(site, input="\n").rc == 0
    assert status(site, input="n\n").rc == 0, "a declined prompt"
    assert status(site, "--dry").rc == 0
    outcome = status(site)
    assert outcome.rc == 1
    assert "EOFError" in outcome.err, "there is nobody to ask"
    assert "etcd cluster etcd" in outcome.out, "the table comes before the question"


def test_wrong_settings_are_refused(site: Site) -> None:
    outcome = status(site, "-y", "--data=etcd_verion=3.5.30").refused("found an unknown setting etcd_verion")
    assert outcome.out == ""


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_is_told_for_every_host(site: Site, fact: str) -> None:
    outcome = site.run("--json", "fact", f"etcd_steward.facts.{fact}").succeeded()
    (told,) = json.loads(outcome.out).values()
    assert set(told) == {site.name(host) for host in site.hosts}
    assert all(FACTS[fact] in value for value in told.values())


def test_a_host_that_hangs_and_a_lost_quorum_and_no_host_at_all(fresh: Callable[..., Site]) -> None:
    site = fresh(MIXED, "ssh")
    site.etcd("-y").succeeded()
    first, second, third = site.hosts
    second.pause()
    try:
        outcome = status(site, "-y", "--data=etcd_output=json").failed("n2: found no answer")
        assert states(outcome) == ["healthy", "no answer", "healthy"]
    finally:
        second.unpause()
    second.kill()
    third.kill()
    outcome = status(site, "-y", "--data=etcd_output=json").failed("an unhealthy endpoint")
    assert states(outcome) == ["unhealthy", "no answer", "no answer"]
    assert "no quorum" in json.loads(outcome.out)["problems"][0]["found"]
    first.kill()
    outcome = status(site, "-y").failed("No hosts remaining!")
    assert outcome.out == "", "pyinfra ends before any deploy is read"
    for host in site.hosts:
        host.start()

"""What a run foresees to be needed, from what its tests name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.steward import Site
from tests.targets import hosts, mirror, prebuild
from tests.targets.prebuild import Needs, words

if TYPE_CHECKING:
    from pathlib import Path

RELEASES = {"new": ("3.7.3",)}


def _helper() -> tuple[str, ...]:
    return RELEASES["new"]


def _test() -> None:
    """Name no 3.4.23 but here, in a docstring."""

    def inner() -> str:
        return "alpine"

    _helper()
    inner()


def test_a_release_is_foreseen_through_functions_and_constants_of_the_tests() -> None:
    found = words(_test, [{"family": "debian"}])
    assert {"alpine", "debian", "3.7.3"} <= found
    needs = Needs()
    needs.of(found, etcd=True)
    assert needs.families == ["alpine", "debian"]
    assert needs.releases == [("3.7.3", "amd64")]


FAMILIES = ("debian",)


def _test_beside_a_module() -> None:
    hosts.Lab("x", keep=bool(FAMILIES))


def test_of_a_module_that_is_no_test_s_that_alone_is_read_which_is_used() -> None:
    found = words(_test_beside_a_module)
    assert "debian" in found
    assert "alpine-arm64" not in found, "hosts has all of FAMILIES, too"


def test_a_test_that_names_no_release_runs_the_default_one() -> None:
    needs = Needs()
    needs.of({"alpine"}, etcd=False)
    assert needs.releases == []
    needs.of({"alpine"}, etcd=True)
    assert needs.releases == [(mirror.DEFAULT, "amd64")]


def test_another_architecture_is_built_for_tests_with_such_a_host_alone() -> None:
    needs = Needs()
    needs.of({"alpine", "3.7.3"}, etcd=True)
    needs.of({"alpine-arm64", "3.5.1"}, etcd=True)
    assert [release for release in needs.releases if release[1] == "arm64"] == [("3.5.1", "arm64")]


def test_of_a_module_those_programs_are_foreseen_that_a_test_names() -> None:
    needs = Needs()
    needs.of({"kubernetes-1.37", "kubelet"}, etcd=False)
    assert needs.programs == [("kubernetes-1.37", "kubelet")]


def test_what_cannot_be_built_beforehand_is_said_and_the_rest_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, said = [], []

    def prepare(version: str, **_: object) -> None:
        if version == "3.5.1":
            raise OSError("no way out")
        made.append(version)

    monkeypatch.setattr(mirror, "prepare", prepare)
    monkeypatch.setattr(prebuild, "say", said.append)
    prebuild.build(Needs(releases=[("3.5.1", "amd64"), ("3.7.3", "amd64")]))
    assert made == ["3.7.3"]
    assert len(said) == 1
    assert "no way out" in said[0]


@pytest.mark.parametrize(
    ("named", "before", "wanted"),
    [
        ({"3.7.3"}, {"3.5.34"}, ["3.6.16", "3.7.3"]),
        ({"3.5.34", "3.7.3"}, set(), ["3.5.34", "3.6.16", "3.7.3"]),
        ({"3.5.30"}, {"3.5.16"}, ["3.5.30"]),
        ({"3.9.9"}, set(), []),
        (set(), set(), []),
    ],
)
def test_a_run_over_several_lines_has_the_releases_between(
    named: set[str], before: set[str], wanted: list[str]
) -> None:
    assert mirror.between(named, before) == wanted


def test_a_run_has_its_releases_made_first_and_tells_those_that_it_installs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str] = []
    monkeypatch.setattr(mirror, "upstream_answers", lambda: False)
    monkeypatch.setattr(mirror, "prepare", lambda *versions, **_: made.extend(versions))
    monkeypatch.setattr(hosts, "USED", {})
    monkeypatch.setattr(hosts, "RUNNING", hosts.RUNNING.copy())
    lab = hosts.Lab("told")
    host = hosts.Host("n1", "alpine", "198.18.0.11", "told-n1", "none", tmp_path)
    site = Site(lab, [host], "http://127.0.0.1", tmp_path / "site", settings={"etcd_version": "3.5.16"})
    site.write_inventory()
    site.prepare_releases("--data=etcd_verion=3.4.23")
    assert made == ["3.4.23", "3.5.16"]
    assert site.programs == {"etcd 3.5.16": "Debian trixie"} == hosts.USED
    site.prepare_releases("--data=etcd_version=3.7.3")
    assert set(site.programs) == {"etcd 3.5.16", "etcd 3.6.16", "etcd 3.7.3"}, "3.6 lies on the way"

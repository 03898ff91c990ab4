"""What the tests' own programs are built from, without building any."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.targets import demo, mirror, programs
from tests.targets.common import CommandError


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    folder = tmp_path / "some-1.0"
    folder.mkdir()
    (folder / "go.mod").write_text("module x\n\ngo 1.26.0\n")
    (folder / "go.sum").write_text("")
    (folder / "module.toml").write_text('version = "1.0.1"\n[programs]\nsome = "example.org/some/v2"\n')
    return tmp_path


@pytest.mark.parametrize("name", programs.names())
def test_every_module_verifies_what_it_is_built_from(name: str) -> None:
    told = programs.module(name)
    assert (told.folder / "go.sum").read_text().strip()
    assert told.needed_go > (1,)
    for program, package in told.programs.items():
        assert programs.executable(package) == program
        if package.startswith("./"):
            assert list((told.folder / package).glob("*.go"))
        else:
            assert package in (told.folder / "go.mod").read_text(), "a program's package is a tool of go.mod"


def test_a_module_of_etcd_is_of_the_release_that_it_says() -> None:
    for version, name in mirror.MODULES.items():
        told = (programs.module(name).folder / "go.mod").read_text()
        assert set(re.findall(r"go\.etcd\.io/etcd/(?:server|etcdctl|etcdutl)/v3 v(\S+)", told)) == {version}


def test_an_unknown_module_or_program_is_named_with_those_that_are_there(modules: Path) -> None:
    with pytest.raises(CommandError, match="some-1"):
        programs.module("other", modules)
    with pytest.raises(CommandError, match="etcdutl"):
        programs.build("etcd-3.6", "etcdx")


def test_a_module_is_built_anew_when_any_of_its_files_changes(modules: Path) -> None:
    before = programs.module("some-1.0", modules).key
    assert programs.module("some-1.0", modules).key == before
    (modules / "some-1.0/go.sum").write_text("x")
    assert programs.module("some-1.0", modules).key != before


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("go.etcd.io/etcd/etcdctl/v3", "etcdctl"),
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("./etcd", "etcd"),
    ],
)
def test_go_names_a_program_after_its_package(package: str, name: str) -> None:
    assert programs.executable(package) == name


def test_a_go_that_is_too_old_for_a_module_is_passed_over(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_pypi_go", lambda _: Path("pypi"))
    told = programs.module("some-1.0", modules)
    for version, wanted in (("go1.25.9", "pypi"), ("go1.26.0", "own"), ("go1.27.3", "own")):
        monkeypatch.setattr(programs, "own_go", lambda v=version: (Path("own"), programs.numbers(v)))
        assert programs.go_for(told) == Path(wanted)
    monkeypatch.setattr(programs, "own_go", lambda: None)
    assert programs.go_for(told) == Path("pypi")


def test_each_release_of_the_mirror_says_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "upstream_answers", lambda: False)
    found = {version: mirror.origin(version) for version in mirror.VERSIONS}
    assert found["3.6.16"] == "Go modules"
    assert found["3.5.1"] == "PyPI"
    assert found["3.4.23"] == "Debian bookworm"
    monkeypatch.setattr(mirror, "upstream_answers", lambda: True)
    assert {mirror.origin(version) for version in mirror.VERSIONS} == {"upstream"}


def test_only_the_architecture_that_is_asked_for_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def archive(version: str, architecture: str, folder: Path) -> None:
        made.append((version, architecture))
        (folder / mirror.archive_name(version, architecture)).write_text(architecture)

    monkeypatch.setattr(mirror, "upstream_answers", lambda: False)
    monkeypatch.setattr(mirror, "_archive", archive)
    digests = mirror.digests("3.6.16", root=tmp_path)
    assert made == [("3.6.16", "amd64")]
    assert mirror.digests("3.6.16", "amd64", "arm64", root=tmp_path)["amd64"] == digests["amd64"]
    assert made == [("3.6.16", "amd64"), ("3.6.16", "arm64")]
    sums = (tmp_path / "v3.6.16/SHA256SUMS").read_text().split()
    assert digests["amd64"] in sums
    assert len(sums) == 4
    # Made of something else, an archive is made again.
    monkeypatch.setattr(mirror, "upstream_answers", lambda: True)
    mirror.prepare("3.6.16", root=tmp_path)
    assert made[2:] == [("3.6.16", "amd64")]


def _shown(
    monkeypatch: pytest.MonkeyPatch, *, online: bool, error: str = ""
) -> tuple[dict[str, object], list[str]]:
    def build(*_: str, **options: object) -> None:
        assert options["seconds"]
        if error:
            raise CommandError(error)

    said: list[str] = []
    monkeypatch.setattr(mirror, "upstream_answers", lambda: online)
    monkeypatch.setattr(mirror, "prepare", lambda version: f"/mirror/{version}")
    monkeypatch.setattr(programs, "build", build)
    monkeypatch.setattr(demo, "say", said.append)
    return demo._release(), said


def test_the_demo_shows_the_default_line_wherever_it_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    found, said = _shown(monkeypatch, online=True)
    assert found == {}, "the product's own default, with the digest that it carries"
    assert len(said) == 1
    found, said = _shown(monkeypatch, online=False)
    assert found["etcd_version"] == mirror.DEFAULT
    assert not found["etcd_force_version"]
    assert len(said) == 1
    found, said = _shown(monkeypatch, online=False, error="found exit status 1\nno route to host")
    assert found["etcd_version"] == demo.LAST_RESORT
    assert len(said) == 1
    assert "no route to host" in said[0]

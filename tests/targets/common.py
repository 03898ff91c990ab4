"""What the target modules share: commands that explain their failure, the cache folder, host packages."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TELL_SECONDS = 8
TELL = "ETCDTEST_TELL"  # names the file that is told, if any
HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("ETCDTEST_CACHE") or "~/.cache/etcd-steward-tests").expanduser()

# The Debian package that brings each host tool which a build without a registry needs.
PACKAGES = {
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "musl-gcc": "musl-tools",
    "make": "make",
    "patch": "patch",
    "bison": "bison",
    "dpkg-source": "dpkg-dev",
    "qemu-aarch64-static": "qemu-user-static",
    "ssh-keygen": "openssh-client",
    "iptables": "iptables",
}


class CommandError(RuntimeError):
    """A command ended with another status than 0; the message says where, what, and what it printed."""


def say(text: str) -> None:
    """Say something on stderr, or where a test run that keeps stderr to itself wants it said."""
    line = f"==> {text}\n"  # one write: threads say things at once
    told = os.environ.get(TELL)
    if told:
        with Path(told).open("a") as file:
            file.write(line)
    else:
        sys.stderr.write(line)
        sys.stderr.flush()


def run(
    *argv: str | Path,
    check: bool = True,
    input: str | None = None,  # noqa: A002  # the name that subprocess gives it
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and give back its output.

    Raises:
        CommandError: it ended with another status than 0 and check is true.
    """
    done = subprocess.run(
        [str(part) for part in argv],
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=timeout,
    )
    if check and done.returncode != 0:
        raise CommandError(describe(" ".join(str(part) for part in argv), done))
    return done


def describe(what: str, done: subprocess.CompletedProcess[str]) -> str:
    output = (done.stdout[-2000:] + done.stderr[-2000:]).strip()
    return f"found exit status {done.returncode}, wanted 0: {what}\n{output}"


def docker(*argv: str | Path, check: bool = True, timeout: float | None = None) -> str:
    """Run one docker command and give back what it printed."""
    return run("docker", *argv, check=check, timeout=timeout).stdout.strip()


def wait_until(what: str, condition: object, seconds: float = 60.0, pause: float = 0.05) -> None:
    """Wait for a condition (a function that gives true) and fail by name when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s: found no {what}")
        time.sleep(pause)


def need(*tools: str) -> None:
    """Install the host tools that are missing: as root with apt, else say which packages to install."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [PACKAGES[tool] for tool in tools if not shutil.which(tool, path=path)]
    if not missing:
        return
    command = f"apt-get install {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CommandError(f"found no {', '.join(tools)}; next: {command} (or ETCDTEST_BASES=hub)")
    say(command)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "-q", "install", "-y", "--no-install-recommends", *missing)
    with locked("apt"):
        if run(*install, check=False, env=quiet).returncode != 0:
            run("apt-get", "-q", "update")
            run(*install, env=quiet)


@contextmanager
def telling(text: str) -> Iterator[None]:
    """Say what takes long, and every few seconds that it still does."""
    ended = threading.Event()

    def tell() -> None:
        seconds = 0
        while not ended.wait(TELL_SECONDS):
            seconds += TELL_SECONDS
            say(f"{text}: {seconds} s")

    say(text)
    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock between processes, so that two runs do not build the same thing at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """Give a temporary name beside path, moved into place only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        partial.rename(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Give an empty folder in the cache that is gone afterwards."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".scratch-{name}-", dir=CACHE))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""Cuts a run of pyinfra at one of its remote commands: a program called `docker` in front of the real one on PATH.

The run is killed from outside, with all that it started here; what it started on a host goes on there, as it does
after a lost connection. Nothing in the product knows of it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.e2e.steward import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.e2e.steward import Site

When = Literal["before", "during", "after"]

# It stands in for docker's client, whose `exec` and `cp` are the remote commands of pyinfra's docker connector.
_SHIM = """#!{python} -SE
import fcntl, json, os, re, signal, subprocess, sys

folder, real = {folder!r}, {real!r}
words = sys.argv[1:]
if words[0] not in ("exec", "cp"):
    os.execv(real, [real, *words])
with open(folder + "/order.json") as file:
    order = json.load(file)
text = " ".join(words)
with open(folder + "/log", "a+") as log:
    fcntl.flock(log, fcntl.LOCK_EX)
    log.seek(0)
    matching = sum(re.search(order["pattern"], json.loads(line)) is not None for line in log)
    log.write(json.dumps(text) + "\\n")
if re.search(order["pattern"], text) is None or matching + 1 != order["number"]:
    os.execv(real, [real, *words])
open(folder + "/struck", "w").close()
if order["instead"]:
    subprocess.run(order["instead"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.execv(real, [real, *words])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if order["when"] != "before":
    # In a session of its own it outlives the run, as a command on a host does.
    command = subprocess.Popen(
        [real, *words], stdin=0 if order["when"] == "after" else subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    if order["when"] == "after":
        command.wait()
    else:
        given = sys.stdin.buffer.read()
        command.stdin.write(given)
        command.stdin.close()
os.killpg(os.getpgrp(), order["signal"])
"""


@dataclass(frozen=True)
class Cut:
    """Where a run is cut.

    Args:
        pattern: a regular expression that the remote command matches; the empty one matches each.
        number: which of those that match, counted from 1.
        when: before it starts, while the host does it, or when the host has done it and the answer has not arrived.
        how: the signal that ends the run.
    """

    pattern: str = ""
    number: int = 1
    when: When = "after"
    how: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.how.name} {self.when} {self.number}. {self.pattern or 'command'}"


class Cutter:
    """Runs pyinfra with the stand-in in front of docker.

    Args:
        site: whose runs are cut; it reaches its hosts by the docker connector.
    """

    def __init__(self, site: Site) -> None:
        assert site.connector == "docker"
        self._site = site
        self._folder = site.folder / "cutting"
        self._folder.mkdir(exist_ok=True)
        real = shutil.which("docker")
        assert real
        shim = self._folder / "docker"
        shim.write_text(_SHIM.format(python=sys.executable, folder=str(self._folder), real=real))
        shim.chmod(0o755)

    def cut(self, cut: Cut, *arguments: str, surely: bool = True) -> str:
        """Run pyinfra, and kill it at a remote command.

        Args:
            cut: where.
            arguments: as `Site.run` takes them.
            surely: fail where no such command comes; otherwise that run must have succeeded.

        Returns:
            What the run had said.
        """
        done = self._run(cut, arguments)
        if not (surely or self._struck):
            return done.succeeded().text
        assert self._struck, f"no {cut} came: {' '.join(arguments)}\n{done.text[-3000:]}"
        # SIGTERM is answered, by 128 and its number, unless it comes before the answer is put there.
        assert done.rc in {-cut.how, 128 + cut.how}, (
            f"{cut}: found exit status {done.rc}\n{done.text[-3000:]}"
        )
        return done.text

    def strike(self, cut: Cut, blow: Sequence[str], *arguments: str) -> Outcome:
        """Run pyinfra to its end, and let something happen directly before a remote command.

        Args:
            cut: before which.
            blow: a command of this machine.
            arguments: as `Site.run` takes them.

        Returns:
            How the run ended.
        """
        done = self._run(cut, arguments, blow)
        assert self._struck, f"no {cut} came: {' '.join(arguments)}\n{done.text[-3000:]}"
        return done

    def count(self, *arguments: str) -> int:
        """Run pyinfra to its end and count its remote commands.

        Args:
            arguments: as `Site.run` takes them.
        """
        self._run(Cut(number=0), arguments).succeeded()
        return len(self.log)

    @property
    def log(self) -> list[str]:
        """The remote commands of the last run."""
        return [json.loads(line) for line in (self._folder / "log").read_text().splitlines()]

    @property
    def _struck(self) -> bool:
        return (self._folder / "struck").exists()

    def _run(self, cut: Cut, arguments: Iterable[str], blow: Sequence[str] = ()) -> Outcome:
        (self._folder / "log").write_text("")
        (self._folder / "struck").unlink(missing_ok=True)
        order = {
            "pattern": cut.pattern,
            "number": cut.number,
            "when": cut.when,
            "signal": int(cut.how),
            "instead": list(blow),
        }
        (self._folder / "order.json").write_text(json.dumps(order))
        self._site.path = f"{self._folder}{os.pathsep}{os.environ['PATH']}"
        try:
            return self._site.run(*arguments)
        finally:
            self._site.path = ""

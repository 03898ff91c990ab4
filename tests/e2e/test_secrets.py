"""Private keys appear nowhere but in their files."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}")
RUN = 40  # so many characters in a row of a key's base64 give it away


class Processes:
    """Samples the arguments of every process on this machine, the containers' among them."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.samples = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.02):
            self.samples += 1
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:  # it has ended
                    continue


def parts(pem: str) -> set[str]:
    """Cut a key into all its runs of 40 characters."""
    body = "".join(line for line in pem.splitlines() if not line.startswith(("-", "#")))
    return {body[start : start + RUN] for start in range(len(body) - RUN + 1)}


def keys(site: Site) -> set[str]:
    found: set[str] = set()
    for host in site.hosts:
        for role in ("server", "peer", "client", "health"):
            found |= parts(host.read(f"/etc/etcd/pki/{role}-key.pem"))
    for path in site.pki.glob("*-key.pem"):
        found |= parts(path.read_text())
    assert len(found) > 1000, "there are keys to look for"
    return found


def leaks(text: str, secrets: set[str]) -> list[str]:
    # Line breaks and spaces may fall into a key; a window moves over every long run of base64 without them.
    return [
        run[start : start + 12]
        for run in BASE64.findall(re.sub(r"\s+", "", text))
        for start in range(len(run) - RUN + 1)
        if run[start : start + RUN] in secrets
    ]


@pytest.mark.parametrize("connector", ["ssh", pytest.param("docker", marks=pytest.mark.long)])
@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_no_key_shows_in_output_logs_processes_or_temporary_folders(
    fresh: Callable[..., Site], families: tuple[str, ...], connector: str
) -> None:
    site = fresh(families, connector)
    with Processes() as processes:
        outcomes = [
            site.etcd("--dry", "--diff", "-vvv"),
            site.etcd("-y", "--diff", "-vvv", "--debug"),
            site.etcd("-y", "--diff", "-vvv", "--debug-all"),
        ]
        site.settings["etcd_extra_names"] = ["etcd.example.org"]
        outcomes.append(site.etcd("-y", "--json", "-vvv", "--diff"))
        outcomes.append(site.run("-y", "-vvv", "--debug", "deploys/status.py"))
    assert [outcome.rc for outcome in outcomes] == [0] * len(outcomes), outcomes[1].text[-3000:]
    secrets = keys(site)
    assert leaks(site.hosts[0].read("/etc/etcd/pki/server-key.pem"), secrets), "the search finds a key"
    for outcome in outcomes:
        assert not leaks(outcome.text, secrets), outcome.argv
    assert processes.samples > 20, "processes were looked at"
    for command in processes.seen:
        assert not leaks(command.decode(errors="replace"), secrets), command[:200]
    for log in site.folder.glob("**/*.log"):
        assert not leaks(log.read_text(errors="replace"), secrets), log
    for host in site.hosts:
        logs = {"systemd": "journalctl -o cat", "openrc": "cat /var/log/messages*"}[host.init]
        assert not leaks(host.run(logs).stdout, secrets), f"the log of {host.name}"
        left = host.run(
            "find /tmp /var/tmp /root /home -type f -size -100k -exec cat {} + 2>/dev/null", check=False
        ).stdout
        assert not leaks(left, secrets), f"the temporary folders of {host.name}"
        # Plain files only: reading a pipe would wait for ever.
        search = "find /etc /opt /var /run -type f -size -64k -exec grep -lE 'BEGIN (EC )?PRIVATE KEY' {} + || true"
        elsewhere = host.run(search).stdout.split()
        assert {
            path for path in elsewhere if "/ssh/" not in path and not path.startswith("/var/lib/dpkg")
        } == {f"/etc/etcd/pki/{role}-key.pem" for role in ("server", "peer", "client", "health")}

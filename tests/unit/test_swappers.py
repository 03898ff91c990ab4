"""Swap stays off after a boot as well: whatever switches it on then is found by what it does, and kept from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from etcd_steward.facts.probe import questions
from etcd_steward.settings import Settings
from etcd_steward.shell import script
from etcd_steward.templating import text

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = [words for words in (["dash"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])]
# Knows units by their files and links, as systemd does; one in /etc cannot be masked.
SYSTEMCTL = """#!/bin/sh
root=$(dirname "$0")/..
echo "$*" >>"$root/asked"
for unit in "$@"; do :; done
case $1 in
  is-enabled) [ -e "$root/masked/$unit" ] && echo masked && exit 1
    if [ -e "$root/enabled/$unit" ]; then echo enabled; else echo disabled; exit 1; fi ;;
  disable) [ -e "$root/stubborn/$unit" ] || rm -f "$root/enabled/$unit" ;;
  mask) [ -e "$root/etc/systemd/system/$unit" ] && exit 1; [ -e "$root/stubborn/$unit" ] || touch "$root/masked/$unit" ;;
  stop) [ "$unit" != zramswap.service ] ;;
esac
"""
ZRAMSWAP = (
    "[Service]\nType=oneshot\nExecStart=/usr/sbin/zramswap start\n[Install]\nWantedBy=multi-user.target\n"
)
UNITS = {
    "lib/systemd/system/dphys-swapfile.service": "[Service]\nExecStart=/sbin/dphys-swapfile swapon\n",
    "usr/lib/systemd/system/zramswap.service": ZRAMSWAP,
    "etc/systemd/system/own.service": "[Service]\nExecStartPre=/bin/true\nExecStart=/bin/sh -c 'swapon /swapfile'\n",
    "etc/systemd/system/var-swap.swap": "[Swap]\nWhat=/var/swap\n[Install]\nWantedBy=multi-user.target\n",
    "etc/init.d/zram-config": "#!/bin/sh\n",
}
OTHERS = {
    "lib/systemd/system/plain.service": "# ExecStart=/sbin/swapon\n[Service]\nExecStart=/bin/true\nExecStop=/sbin/swapon x\n",
    "lib/systemd/system/off.service": "[Service]\nExecStart=/sbin/swapon /x\n",  # not enabled
    "lib/systemd/system/each@.service": "[Service]\nExecStart=/sbin/swapon %i\n",
    "lib/systemd/system/similar.service": "[Service]\nExecStart=/usr/bin/swapon-exporter\n",
    "etc/systemd/system/a b.service": "[Service]\nExecStart=/sbin/swapon /x\n",
}
FOUND = ["dphys-swapfile.service", "own.service", "var-swap.swap", "zram-config.service", "zramswap.service"]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for path, content in (UNITS | OTHERS).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    for folder in ("bin", "enabled", "masked", "stubborn", "manifests"):
        (tmp_path / folder).mkdir()
    for unit in (*FOUND, "plain.service", "each@.service", "similar.service"):
        (tmp_path / "enabled" / unit).touch()
    for tool, content in {"systemctl": SYSTEMCTL, "swapoff": "#!/bin/sh\n"}.items():
        (tmp_path / "bin" / tool).write_text(content)
        (tmp_path / "bin" / tool).chmod(0o755)
    return tmp_path


def run(words: list[str], command: str, root: Path) -> subprocess.CompletedProcess[str]:
    for folder in ("/etc/", "/lib/systemd", "/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd"):
        for sign in (" ", '"'):
            command = command.replace(f"{sign}{folder}", f"{sign}{root}{folder}")
    environment = {"PATH": f"{root}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        [*words, "-c", command], capture_output=True, text=True, check=False, env=environment
    )


def found(words: list[str], root: Path) -> list[str]:
    return run(words, f"{text('swappers.sh')}\nswappers", root).stdout.splitlines()


def switched_off(words: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    values = {"modules": [], "sysctls": [], "kubelet": "", "units": [], "runtime_unit": "x", "changed": []}
    node = script("swappers.sh", "node.sh", swap="yes", manifests=f"{root}/manifests", **values)
    return run(words, node + "", root)


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_b18_services_that_switch_swap_on_are_found_and_are_none_afterwards(
    host: Path, words: list[str]
) -> None:
    assert found(words, host) == FOUND
    done = switched_off(words, host)
    assert done.returncode == 0, done.stderr
    assert found(words, host) == []
    asked = (host / "asked").read_text().splitlines()
    for unit in FOUND:
        steps = [f"stop {unit}", f"disable --quiet {unit}", f"mask --quiet {unit}"]
        assert [line for line in asked if line in steps] == steps
    assert "mask --quiet swap.target" in asked
    assert "stopping zramswap.service failed" in done.stderr
    masked = sorted(path.name for path in (host / "masked").iterdir())
    assert masked == ["dphys-swapfile.service", "swap.target", "zram-config.service", "zramswap.service"]


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_a_unit_that_stays_enabled_is_named_and_the_host_is_not_called_fit(
    host: Path, words: list[str]
) -> None:
    (host / "stubborn" / "dphys-swapfile.service").touch()
    done = switched_off(words, host)
    assert done.returncode == 1
    assert (
        "found dphys-swapfile.service, which still switches swap on at boot, wanted no such service"
        in done.stderr
    )
    assert "systemctl disable dphys-swapfile.service" in done.stderr


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_the_look_tells_them_beside_what_is_on_now(host: Path, words: list[str]) -> None:
    look = script(
        "service.sh", "asked.sh", "swappers.sh", "neighbours.sh", "node-look.sh", modules=[], sysctls=[],
        container_runtime="crio", beside_as="node ",
    )  # fmt: skip
    told = run(words, look + "\nlook_at_node", host).stdout.splitlines()
    assert [line for line in told if line.startswith("node swap ") and ".s" in line] == [
        f"node swap {unit} at boot" for unit in FOUND
    ]


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_the_probe_of_a_host_of_pods_has_all_that_it_calls(words: list[str]) -> None:
    for runtime in ("crio", "containerd"):
        own = Settings(etcd_runtime="static_pod", etcd_container_runtime=runtime)
        done = subprocess.run(
            [*words, "-c", questions(own, "n1") + ""], capture_output=True, text=True, check=False
        )
        assert (done.stderr, done.stdout.splitlines()[-1]) == ("", "end")

"""What decides beside flannel's glue is seen on a host as it is: docker's own file, and lists of networks that come first."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from etcd_steward.flannel_seen import Seen, parse_look
from etcd_steward.shell import script

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = [words for words in (["dash"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])]
UNIT = "# /lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/bin/dockerd -H fd://{}\n"


def look(
    words: list[str], root: Path, glue: str, flags: str = "", daemon_json: str = "", init: str = "systemd"
) -> Seen:
    booted = ("run/systemd/system",) if init == "systemd" else ()
    for folder in ("bin", *booted, "etc/docker", "etc/cni/net.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "unit").write_text(UNIT.format(flags))
    (root / "bin/systemctl").write_text(f'#!/bin/sh\n[ "$1" = cat ] && cat {root}/unit\n')
    (root / "bin/systemctl").chmod(0o755)
    command = script(
        "service.sh", "certificates.sh", "neighbours.sh", "at-boot.sh", "flannel-look.sh", beside_as="", glue=glue, dockerd="",
        daemon_json=daemon_json, dir="/nowhere", bin_dir="/nowhere", files=[], certificate="/nowhere", service="flanneld",
        modules=[], sysctls=["net/ipv4/ip_forward"], device="flannel.1", port=8472,
    )  # fmt: skip
    text = command + ""
    for folder in (
        "/etc/docker/",
        "/etc/cni/",
        "/run/systemd/",
        "/run/openrc/",
        "/etc/sysctl.",
        "/run/sysctl.",
        "/lib/sysctl.",
    ):
        text = re.sub(rf"(?<![\w.]){re.escape(folder)}", f"{root}{folder}", text)
    environment = {"PATH": f"{root}/bin:{os.environ['PATH']}"}
    done = subprocess.run([*words, "-c", text], capture_output=True, text=True, check=False, env=environment)
    seen = parse_look(done.stdout.splitlines())
    assert seen.reached, done
    return seen


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_b21_the_keys_of_dockers_file_are_seen_where_its_glue_is_asked_for(
    tmp_path: Path, words: list[str]
) -> None:
    assert look(words, tmp_path, "docker").beside == ()
    (tmp_path / "etc/docker/daemon.json").write_text('{"bip": "10.9.0.1/24", "log-opts": {"mtu": "1"}}\n')
    assert [one.keys for one in look(words, tmp_path, "docker").beside] == [("bip", "log-opts")]
    assert look(words, tmp_path, "cni").beside == ()
    (tmp_path / "etc/docker/daemon.json").write_text('{"bip": "10.9.0.1/24",}\n')
    assert [one.known for one in look(words, tmp_path, "docker").beside] == [False]


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize("how", [" --config-file={}", " --config-file {} -D", "setting"])
def test_the_file_that_docker_is_told_is_the_one_that_counts(
    tmp_path: Path, words: list[str], how: str
) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"mtu": 1}')
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / "etc/docker/daemon.json").write_text('{"bip": "x"}')
    more = {"daemon_json": str(own)} if how == "setting" else {"flags": how.format(own)}
    assert [(one.path, one.keys) for one in look(words, tmp_path, "docker", **more).beside] == [
        (str(own), ("mtu",))
    ]


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_b20_lists_of_networks_are_seen_where_the_glue_is_one(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "etc/cni/net.d").mkdir(parents=True)
    for name in ("10-a.conflist", "05-b.conf", "20-c.json", "00-d.conflist.off", "README"):
        (tmp_path / "etc/cni/net.d" / name).write_text("{}")
    found = look(words, tmp_path, "cni").cni
    assert sorted(path.rpartition("/")[2] for path in found) == ["05-b.conf", "10-a.conflist", "20-c.json"]
    assert look(words, tmp_path, "none").cni == ()


OURS = ("etc/sysctl.d/90-flannel.conf", "net.ipv4.ip_forward = 1\n")


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("files", "init", "told"),
    [
        ({}, "systemd", ("1", "etc/sysctl.d/90-flannel.conf")),
        (
            {"etc/sysctl.d/99-a.conf": "-net.ipv4.ip_forward=0 # x\n"},
            "systemd",
            ("0x", "etc/sysctl.d/99-a.conf"),
        ),
        ({"etc/sysctl.d/99-a.conf": "net/ipv4/ip_forward = 0\n"}, "systemd", ("0", "etc/sysctl.d/99-a.conf")),
        (
            {"lib/sysctl.d/99-a.conf": "net.ipv4.conf.all.forwarding=0\n"},
            "systemd",
            ("0", "lib/sysctl.d/99-a.conf"),
        ),
        (
            {"lib/sysctl.d/99-a.conf": "net.ipv4.ip_forward=0\n", "etc/sysctl.d/99-a.conf": "\n"},
            "systemd",
            None,
        ),
        ({"etc/sysctl.d/10-a.conf": "net.ipv4.ip_forward=0\n"}, "systemd", None),
        ({"etc/sysctl.d/99-a.conf": "# net.ipv4.ip_forward=0\nnet.ipv4.ip_forward_x=0\n"}, "systemd", None),
        ({"etc/sysctl.conf": "net.ipv4.ip_forward=0\n"}, "systemd", None),
        ({"etc/sysctl.conf": "net.ipv4.ip_forward=0\n"}, "openrc", ("0", "etc/sysctl.conf")),
    ],
)
def test_the_file_that_a_boot_reads_last_is_the_one_that_counts(
    tmp_path: Path, words: list[str], files: dict[str, str], init: str, told: tuple[str, str] | None
) -> None:
    for path, content in {OURS[0]: OURS[1], **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    if init == "openrc":
        (tmp_path / "run/openrc").mkdir(parents=True)
        (tmp_path / "run/openrc/softlevel").touch()
    value, path = told or ("1", OURS[0])
    boot = look(words, tmp_path, "none", init=init).boot
    assert boot == {"net/ipv4/ip_forward": (value, f"{tmp_path}/{path}")}

"""What k3s reads beside its config.yaml is seen on a host as it is, and any of it that k3s starts with counts for a restart."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from etcd_steward.k3s_look import Look, question, reads
from etcd_steward.settings import Settings
from etcd_steward.shell import script

if TYPE_CHECKING:
    from pathlib import Path

    from etcd_steward.shell import Script

SHELLS = [words for words in (["dash"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])]
INITS = {
    "systemd": ("/etc/default/k3s", "/etc/sysconfig/k3s", "/etc/systemd/system/k3s.service.env"),
    "openrc": ("/etc/environment", "/etc/conf.d/k3s", "/etc/rancher/k3s/k3s.env"),
}


def run(words: list[str], command: Script, root: Path) -> list[str]:
    text = command + ""
    for folder in ("/etc/", "/run/", "/lib/systemd", "/usr/lib/systemd", "/opt/", "/var/lib/"):
        text = text.replace(f"'{folder}", f"'{root}{folder}").replace(f" {folder}", f" {root}{folder}")
        text = text.replace(f"={folder}", f"={root}{folder}").replace(f'"{folder}', f'"{root}{folder}')
    done = subprocess.run(
        [*words, "-c", text], capture_output=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    return done.stdout.decode(errors="replace").splitlines()


def put(root: Path, path: str, content: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def look(words: list[str], root: Path, init: str = "systemd") -> Look:
    put(root, "/run/systemd/system/x" if init == "systemd" else "/run/openrc/softlevel", "")
    return Look.read(run(words, question(Settings()), root))


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize("init", INITS)
def test_b13_all_that_k3s_reads_is_seen_with_its_keys(tmp_path: Path, words: list[str], init: str) -> None:
    drop_ins = "/etc/rancher/k3s/config.yaml.d"
    put(tmp_path, f"{drop_ins}/10-old.yaml", "datastore-endpoint: x\ntls-san+: [a]\n")
    put(tmp_path, f"{drop_ins}/20-a b.yml", "token: x\n")
    put(tmp_path, f"{drop_ins}/30-off.yaml.off", "token: x\n")
    for path in (one for paths in INITS.values() for one in paths):
        put(tmp_path, path, "K3S_TOKEN=x\n")
    put(
        tmp_path, "/etc/systemd/system/k3s.service.d/a.conf", f"[Service]\nEnvironmentFile=-{tmp_path}/more\n"
    )
    put(tmp_path, "/more", "K3S_URL=x\n")
    seen = look(words, tmp_path, init)
    assert seen.whole
    assert seen.hostname
    told = {one.path.removeprefix(str(tmp_path)): one.keys for one in seen.neighbours if one.known}
    units = {"/more": ("K3S_URL",), "/etc/systemd/system/k3s.service.d/a.conf": ()}
    assert told == {
        f"{drop_ins}/10-old.yaml": ("datastore-endpoint", "tls-san+"),
        f"{drop_ins}/20-a b.yml": ("token",),
        **dict.fromkeys(INITS[init], ("K3S_TOKEN",)),
        **(units if init == "systemd" else {}),
    }


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_a_host_with_nothing_beside_has_nothing_told(tmp_path: Path, words: list[str]) -> None:
    put(tmp_path, "/etc/rancher/k3s/config.yaml", "# Written by etcd-steward\ntoken: x\n")
    assert look(words, tmp_path).neighbours == ()


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_b14_the_name_of_a_node_is_read_wherever_it_comes_from(tmp_path: Path, words: list[str]) -> None:
    assert look(words, tmp_path).node_name == ""
    put(tmp_path, "/etc/default/k3s", '# K3S_NODE_NAME=a\nK3S_NODE_NAME="from-the-environment"\n')
    assert look(words, tmp_path).node_name == "from-the-environment"
    put(tmp_path, "/etc/rancher/k3s/config.yaml.d/a.yaml", "node-name: 'a'\n")
    put(
        tmp_path,
        "/etc/rancher/k3s/config.yaml.d/b.yaml",
        '"node-name" : "the.last-1" # x\nnode-label: node-name\n',
    )
    assert look(words, tmp_path).node_name == "the.last-1"


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_what_k3s_is_started_with_changes_with_each_of_these_files(tmp_path: Path, words: list[str]) -> None:
    noted = script("k3s-noted.sh", **reads(Settings()))
    noted = type(noted)("noted", noted + "\nnoted")
    told = [run(words, noted, tmp_path)]
    for path in (
        "/etc/rancher/k3s/config.yaml.d/a.yaml",
        "/etc/rancher/k3s/registries.yaml",
        "/etc/default/k3s",
    ):
        for content in ("a: 1\n", "a: 2\n"):
            put(tmp_path, path, content)
            told.append(run(words, noted, tmp_path))
    assert len(set(map(tuple, told))) == len(told) == 7

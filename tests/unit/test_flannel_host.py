"""What lies on a host for flannel, and the fragments that put it there; the fragments are run for real."""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward import flannel_host
from etcd_steward.docker_unit import parse_unit
from etcd_steward.flannel_seen import Seen, parse_look
from etcd_steward.observed import File, Service
from etcd_steward.settings import Settings, read_settings
from etcd_steward.shell import script
from tests.unit.test_docker_unit import DEBIAN

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINTS = ("https://10.0.0.1:2379", "https://10.0.0.2:2379")
RUNNING = Service(exists=True, running=True, enabled=True, word="active (running)")


def settings(**data: Any) -> Settings:
    found, complaints = read_settings("n1", {"etcd_flannel_network": "172.30.0.0/16", **data})
    assert not complaints
    assert found is not None
    return found


def unit(**data: Any) -> configparser.ConfigParser:
    text = flannel_host.wanted(settings(**data), "systemd", ENDPOINTS, "CA\n").definition.content
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(text)
    return parsed


def test_the_unit_says_what_the_notes_of_flannel_ask_for() -> None:
    told = unit()
    assert told["Unit"]["StartLimitIntervalSec"] == "0"
    assert "network-online.target" in told["Unit"]["After"].split()
    assert told["Unit"]["Wants"] == "network-online.target"
    service = told["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert service["ExecStart"].split() == [
        "/usr/local/bin/flanneld",
        "-etcd-endpoints=https://10.0.0.1:2379,https://10.0.0.2:2379",
        "-etcd-prefix=/coreos.com/network",
        "-etcd-cafile=/etc/flanneld/cert/ca.pem",
        "-etcd-certfile=/etc/flanneld/cert/flanneld.pem",
        "-etcd-keyfile=/etc/flanneld/cert/flanneld-key.pem",
        "-subnet-file=/run/flannel/subnet.env",
        "-ip-masq",
    ]
    assert "ExecStartPost" not in service


def test_interface_and_masquerading_follow_the_settings() -> None:
    words = unit(etcd_flannel_iface="eth1", etcd_flannel_ip_masq=False)["Service"]["ExecStart"].split()
    assert "-iface=eth1" in words
    assert "-ip-masq" not in words


def test_the_glue_of_docker_is_written_by_flannels_own_script_and_read_by_a_drop_in() -> None:
    data = {"etcd_flannel_glue": "docker", "etcd_flannel_bin_dir": "/opt/k8s/bin"}
    assert (
        unit(**data)["Service"]["ExecStartPost"]
        == "/opt/k8s/bin/mk-docker-opts.sh -k DOCKER_NETWORK_OPTIONS -d /run/flannel/docker"
    )
    docker = parse_unit(DEBIAN, ["/usr/sbin/dockerd"])
    (drop_in,) = flannel_host.wanted(settings(**data), "systemd", ENDPOINTS, "", docker).glue
    lines = drop_in.content.splitlines()
    assert "EnvironmentFile=/run/flannel/docker" in lines
    starts = [line for line in lines if line.startswith("ExecStart=")]
    assert starts[0] == "ExecStart="
    assert starts[1] == f"ExecStart={docker.command} $DOCKER_NETWORK_OPTIONS"
    assert not [line for line in lines if line.startswith("Requires")], (
        "a restart of flanneld is none of docker"
    )


def test_no_glue_is_written_for_a_docker_that_is_not_there_yet() -> None:
    for data in ({}, {"etcd_flannel_dockerd": "/usr/sbin/dockerd -H fd://"}):
        own = settings(etcd_flannel_glue="docker", **data)
        assert flannel_host.wanted(own, "systemd", ENDPOINTS, "", parse_unit([], [])).glue == ()


def test_the_list_of_cni_is_json_that_names_flannel_and_portmap() -> None:
    (conflist,) = flannel_host.wanted(settings(etcd_flannel_glue="cni"), "openrc", ENDPOINTS, "").glue
    told = json.loads(conflist.content)
    assert told["cniVersion"] == "0.3.1"
    assert [one["type"] for one in told["plugins"]] == ["flannel", "portmap"]
    assert told["plugins"][0]["delegate"] == {"hairpinMode": True, "isDefaultGateway": True}


def test_the_service_of_openrc_is_supervised_and_needs_the_network() -> None:
    target = flannel_host.wanted(settings(), "openrc", ENDPOINTS, "")
    text = target.definition.content
    assert target.definition.mode == "755"
    assert "supervisor=supervise-daemon\n" in text
    assert "\tneed net" in text
    assert "\tafter etcd firewall" in text
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_and_forwarding_last_over_a_reboot() -> None:
    files = {
        file.path: file.content for file in flannel_host.wanted(settings(), "systemd", ENDPOINTS, "").kernel
    }
    assert files[flannel_host.MODULES_FILE].splitlines()[1:] == ["br_netfilter", "vxlan"]
    assert files[flannel_host.SYSCTL_FILE].splitlines()[1:] == ["net.ipv4.ip_forward = 1"]
    six = flannel_host.wanted(settings(etcd_flannel_ipv6_network="fd00:30::/48"), "systemd", ENDPOINTS, "")
    assert "net.ipv6.conf.all.forwarding = 1\n" in six.kernel[0].content
    none = flannel_host.wanted(settings(etcd_flannel_modules=[]), "systemd", ENDPOINTS, "")
    assert [file.path for file in none.kernel] == [flannel_host.SYSCTL_FILE]


PAIR = "0" * 64


def whole(own: Settings, **changes: Any) -> tuple[Seen, flannel_host.Wanted]:
    target = flannel_host.wanted(own, "systemd", ENDPOINTS, "CA\n")
    there = {
        file.path: File(hashlib.sha256(file.content.encode()).hexdigest(), file.mode, file.owner, ours=True)
        for file in (*target.kernel, target.definition, *target.glue)
    }
    there[flannel_host.bundle_of(own).certificate] = File(PAIR, "644", "root:root", ours=False)
    release = f"{own.etcd_flannel_dir}/{own.etcd_flannel_version}"
    given: dict[str, Any] = {
        "reached": True,
        "init": "systemd",
        "files": there,
        "releases": frozenset({own.etcd_flannel_version}),
        "links": {name: f"{release}/{name}" for name in flannel_host.PROGRAMS},
        "modules": frozenset({"br_netfilter", "vxlan"}),
        "sysctls": {"net/ipv4/ip_forward": "1"},
        "service": RUNNING,
        "started": target.started,
        "started_pair": PAIR,
    }
    return Seen(**{**given, **changes}), target


def test_a_certificate_that_is_made_anew_in_this_run_starts_flanneld_anew() -> None:
    own = settings()
    assert flannel_host.work(own, *whole(own), renewed=True) == flannel_host.Work(start=True)


def test_a_host_that_has_everything_lacks_nothing() -> None:
    own = settings()
    left = flannel_host.work(own, *whole(own))
    assert left == flannel_host.Work()


@pytest.mark.parametrize(
    ("change", "lacking"),
    [
        ({"releases": frozenset()}, {"stage"}),
        ({"links": {}}, {"link"}),
        ({"modules": frozenset({"vxlan"})}, {"modules"}),
        ({"sysctls": {"net/ipv4/ip_forward": "0"}}, {"sysctls"}),
        ({"started": "another"}, {"start"}),
        ({"started_pair": "another"}, {"start"}),
        ({"service": Service(exists=True, enabled=True, word="failed")}, {"start"}),
        ({"service": Service(exists=True, running=True, word="active (running)")}, {"enable"}),
        ({"files": {}}, {"kernel", "files"}),
    ],
)
def test_what_is_missing_is_told_and_nothing_else(change: dict[str, Any], lacking: set[str]) -> None:
    own = settings()
    left = flannel_host.work(own, *whole(own, **change))
    assert {name for name, value in vars(left).items() if value} == lacking


def test_a_new_authority_lets_flanneld_start_anew_as_it_reads_that_file_only_then() -> None:
    own = settings()
    seen, _ = whole(own)
    assert flannel_host.work(own, seen, flannel_host.wanted(own, "systemd", ENDPOINTS, "CA\nnext\n")).start


def test_half_a_look_is_none_and_addresses_of_the_overlay_are_not_the_hosts_own() -> None:
    lines = [
        "look 1",
        "uid 0",
        "machine x86_64",
        "init systemd",
        "address eth0 10.0.0.1",
        "address flannel.1 172.30.8.0",
    ]
    assert not parse_look(lines).reached
    seen = parse_look([*lines, "address docker0 172.30.8.1", "device flannel.1", "end"])
    assert seen.reached
    assert seen.own_addresses == ["10.0.0.1"]
    assert seen.device


def archive(path: Path, **files: str) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("_", "-"))
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpack(folder: Path, sha256: str) -> subprocess.CompletedProcess[str]:
    command = script(
        "asked.sh",
        "matches.sh",
        "flannel-unpack.sh",
        staging=str(folder / ".staging"),
        file="a.tar.gz",
        called="an archive",
        sha256=sha256,
        prefix=str(folder),
        version="0.28.9",
    )
    return subprocess.run(["sh", "-c", command + ""], capture_output=True, text=True, check=False)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    folder = tmp_path / ".staging"
    folder.mkdir()
    return folder


def test_an_archive_is_unpacked_beside_others_and_what_was_there_is_moved_aside(
    tmp_path: Path, staging: Path
) -> None:
    for text in ("#!/bin/sh\n", "#!/bin/sh\n# next\n"):
        digest = archive(staging / "a.tar.gz", flanneld=text, mk_docker_opts="#!/bin/sh\n")
        done = unpack(tmp_path, digest)
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "0.28.9/flanneld").read_text() == text
        assert (tmp_path / "0.28.9/.archive-sha256").read_text() == f"{digest}\n"
    (aside,) = [path for path in tmp_path.iterdir() if path.name.startswith("0.28.9.")]
    assert (aside / "flanneld").exists()
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/nowhere\n"])
def test_a_flanneld_that_does_not_run_here_is_not_put_in_place(
    tmp_path: Path, staging: Path, program: str
) -> None:
    done = unpack(tmp_path, archive(staging / "a.tar.gz", flanneld=program))
    assert done.returncode == 1
    assert done.stderr.startswith("found a flanneld 0.28.9 that ")
    assert not (tmp_path / "0.28.9").exists()


def test_an_archive_with_another_digest_is_not_even_unpacked(tmp_path: Path, staging: Path) -> None:
    digest = archive(staging / "a.tar.gz", flanneld="#!/bin/sh\n")
    done = unpack(tmp_path, "0" * 64)
    assert done.returncode == 1
    assert done.stderr == (
        f"found an archive with SHA-256 {digest}, wanted {'0' * 64}; next: look at {staging}/a.tar.gz.bad, then run again\n"
    )
    assert [path.name for path in staging.iterdir()] == ["a.tar.gz.bad"]


def test_a_module_that_the_kernel_does_not_have_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "modprobe").write_text('#!/bin/sh\n[ "$1" = vxlan ]\n')
    (tmp_path / "modprobe").chmod(0o755)
    command = script("flannel-kernel.sh", modules=["vxlan", "br_netfilter"], sysctls=[])
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command + ""], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert done.stderr.startswith("found no kernel module br_netfilter, wanted it loaded; next: ")


@pytest.mark.parametrize("there", [True, False])
def test_echoes_are_told_one_by_one_and_a_host_without_ping_says_so(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "ping").write_text(
            '#!/bin/sh\nfor last in "$@"; do :; done\n[ "$last" != 172.30.16.0 ]\n'
        )
        (tmp_path / "ping").chmod(0o755)
    command = script("flannel-ping.sh", addresses=["172.30.8.0", "172.30.16.0", "172.30.24.0"])
    done = subprocess.run(
        ["/bin/sh", "-c", command + ""],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": str(tmp_path)},
    )
    assert sorted(done.stdout.splitlines()) == (
        ["pinged 172.30.24.0", "pinged 172.30.8.0"] if there else ["no ping"]
    )

"""The targets are what they claim to be: otherwise every test on them would mean little."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.targets import mirror
from tests.targets.bases import FAMILIES
from tests.targets.common import CommandError, docker
from tests.targets.hosts import Host, Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.target

OS_RELEASE = {
    "alpine": "alpine",
    "alpine-arm64": "alpine",
    "debian": "debian",
    "ubuntu": "ubuntu",
    "centos": "rocky",
}
INSTALL_CHRONY = {
    "alpine": "apk add chrony && rc-update add chronyd default && rc-service chronyd start",
    "debian": "DEBIAN_FRONTEND=noninteractive apt-get -q install -y chrony && systemctl enable --now chrony",
    "centos": "dnf -q -y install chrony && systemctl enable --now chronyd",
}
INSTALL_CHRONY |= {"alpine-arm64": INSTALL_CHRONY["alpine"], "ubuntu": INSTALL_CHRONY["debian"]}


@pytest.fixture(scope="module", params=[name for name, one in FAMILIES.items() if not one.kubelet])
def host(request: pytest.FixtureRequest, docker_answers: None) -> Iterator[Host]:
    with Lab(f"targets-{request.param}") as lab:
        (started,) = lab.start({"n1": request.param})
        yield started


def test_a_family_is_the_system_it_is_named_after(host: Host) -> None:
    assert host.run('. /etc/os-release && echo "$ID"').stdout.strip() == OS_RELEASE[host.family]
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[FAMILIES[host.family].architecture]
    assert host.run("uname", "-m").stdout.strip() == machine


def test_the_init_system_runs_as_process_1(host: Host) -> None:
    marker = {"openrc": "/run/openrc/softlevel", "systemd": "/run/systemd/system"}
    assert [name for name, path in marker.items() if host.exists(path)] == [host.init]
    if host.init == "systemd":
        assert host.run("systemctl --failed --no-legend").stdout == ""
        assert host.run("cat", "/proc/1/comm").stdout.strip() == "systemd"


def test_an_image_says_whether_it_is_real(host: Host, images: Callable[[str], str]) -> None:
    label = docker("inspect", "-f", '{{index .Config.Labels "etcdtest.base"}}', images(host.family))
    assert label == FAMILIES[host.family].origin


def test_an_operator_logs_in_by_ssh_and_becomes_root_by_sudo(host: Host) -> None:
    if host.has_ssh:
        assert host.ssh("id -un; sudo -n id -un").stdout.split() == ["deploy", "root"]
        assert "/usr/local/bin" in host.ssh("echo $PATH").stdout
        if host.init == "openrc":
            assert host.ssh("doas -n id -un").stdout == "root\n"
    else:  # emulated: reached by docker exec
        assert host.run("sudo -n id -un", user="deploy").stdout.strip() == "root"


def test_chrony_can_be_installed_enabled_and_stopped(host: Host) -> None:
    service = "chronyd" if host.family in ("alpine", "alpine-arm64", "centos") else "chrony"
    control = "rc-service {0} {1}" if host.init == "openrc" else "systemctl {1} {0}"
    host.run(INSTALL_CHRONY[host.family])
    host.run(control.format(service, "status"))
    host.run(control.format(service, "stop"))
    assert host.run(control.format(service, "status"), check=False).returncode != 0


def test_an_enabled_service_is_back_after_a_power_cut(host: Host) -> None:
    host.write("/etc/kept", "on disk\n")
    host.kill()
    with pytest.raises(CommandError):
        host.run("true")
    host.start()
    assert host.read("/etc/kept") == "on disk\n"
    if host.has_ssh:
        assert host.ssh("true").returncode == 0


def test_released_archives_match_their_sums_and_run_on_the_target(host: Host, mirror_url: str) -> None:
    architecture = FAMILIES[host.family].architecture
    name = mirror.archive_name("3.5.1", architecture)
    with urllib.request.urlopen(f"{mirror_url}/v3.5.1/SHA256SUMS") as answer:
        sums = dict(line.split()[::-1] for line in answer.read().decode().splitlines())
    with urllib.request.urlopen(f"{mirror_url}/v3.5.1/{name}") as answer:
        archive = answer.read()
    assert hashlib.sha256(archive).hexdigest() == sums[name]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(f"{name.removesuffix('.tar.gz')}/etcd")
        assert member is not None
        host.write("/usr/local/bin/etcd", member.read(), 0o755)
    assert "etcd Version: 3.5.1" in host.run("/usr/local/bin/etcd --version").stdout


@pytest.mark.long
@pytest.mark.parametrize("version", mirror.MODULES)
def test_a_release_that_is_built_here_runs_on_another_architecture_too(version: str, lab: Lab) -> None:
    (host,) = lab.start({"pi": "alpine-arm64"})
    root = mirror.prepare(version, architectures=["arm64"])
    host.write(
        "/root/etcd.tar.gz", (root / f"v{version}" / mirror.archive_name(version, "arm64")).read_bytes()
    )
    host.run("tar -xzf /root/etcd.tar.gz --strip-components=1 -C /usr/local/bin")
    assert f"etcd Version: {version}" in host.run("etcd --version").stdout
    assert f"etcdctl version: {version}" in host.run("etcdctl version").stdout


def test_names_and_cables_work_between_hosts(lab: Lab) -> None:
    first, second = lab.start({"left": "alpine", "right": "debian"})
    ping = f"ping -c 1 -W 1 {second.name}"
    first.run(ping)
    second.disconnect()
    assert first.run(ping, check=False).returncode != 0
    second.connect()
    first.run(ping)


@pytest.mark.parametrize("version", mirror.DEBIAN)
def test_debian_s_builds_run_on_alpine_with_the_shim_and_not_without(
    version: str, lab: Lab, mirror_url: str
) -> None:
    if mirror.upstream_answers():
        pytest.skip("upstream's archives are static: nothing to shim")
    (host,) = lab.start({"n1": "alpine"})
    name = mirror.archive_name(version, "amd64")
    with urllib.request.urlopen(f"{mirror_url}/v{version}/{name}") as answer:
        host.write("/tmp/etcd.tar.gz", answer.read())
    host.run("mkdir -p /opt/etcd && tar -xzf /tmp/etcd.tar.gz --strip-components=1 -C /opt/etcd")
    assert host.run("/opt/etcd/etcd --version", check=False).returncode != 0
    mirror.glibc_shim(host)
    for program in mirror.PROGRAMS:
        asked = "--version" if program == "etcd" else "version"
        if version.startswith("3.4") and program == "etcdutl":
            continue  # came with 3.5
        assert version in host.run(f"/opt/etcd/{program} {asked}").stdout

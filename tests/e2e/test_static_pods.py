"""Members run as static pods: made, killed, changed, upgraded, restored and replaced by their manifests alone.

There is no kubelet here: `standins/kubelet` takes its place, as its first lines say.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.conftest import make_site
from tests.e2e.foretelling import foretold
from tests.targets import hosts as targets
from tests.targets.common import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

STANDINS = Path(__file__).parent / "standins"
FAMILIES = ("debian", "centos", "debian")
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
POD = "ps -eo pid,lstart,args | awk '$7 == \"etcd\"'"
SETTINGS = {
    "etcd_runtime": "static_pod",
    "etcd_version": "3.5.16",
    "etcd_node_packages": "present",
    # The machine that the tests run on may be an old one.
    "etcd_fail_cgroup_v1": False,
}


def stand_in(host: Host, *names: str) -> None:
    """Put stand-ins where the packages of kubelet and CRI-O put theirs; nothing is started."""
    programs = {
        "kubelet": (STANDINS / "kubelet").read_text(),
        "crio": "#!/bin/sh\nexec sleep infinity\n",
    }
    for name in names:
        host.write(f"/usr/bin/{name}", programs[name], 0o755)
        host.write(f"/usr/lib/systemd/system/{name}.service", (STANDINS / f"{name}.service").read_text())


@pytest.fixture(scope="module")
def made(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Give three hosts with stand-ins; nothing is deployed on them."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("pods")
        site = make_site(stack, FAMILIES, "docker", mirror_url, cache, folder, {"settings": SETTINGS})
        for host in site.hosts:
            stand_in(host, "kubelet", "crio")
        yield site


@pytest.fixture(scope="module")
def converged(made: Site) -> Site:
    site = made
    foretold(site, "static_pods")
    return site


@pytest.fixture
def site(converged: Site) -> Site:
    targets.SEEN.update(FAMILIES)
    return converged


def static_pods(site: Site, *flags: str) -> Outcome:
    return site.run("-y", *flags, "deploys/static_pods.py")


def pods(site: Site) -> dict[str, str]:
    """Tell each pod's process and when it was started."""
    return {host.name: " ".join(host.run(POD).stdout.split()[:6]) for host in site.hosts}


def running(site: Site) -> set[str]:
    return {site.status(host)["version"] for host in site.hosts}


def test_a_cluster_of_static_pods_is_made_and_a_second_run_changes_nothing(site: Site) -> None:
    (_,) = site.cluster_ids()
    before = pods(site)
    assert all(before.values())
    assert all(
        "etcd" not in host.run("systemctl list-units --plain etcd.service").stdout for host in site.hosts
    )
    told = static_pods(site, "-vv").unchanged()
    assert max(told.commands.values()) <= 2
    site.run("-y", "deploys/status.py").succeeded()
    assert pods(site) == before
    for host in site.hosts:
        assert host.run(f"ls -A {Path(MANIFEST).parent}").stdout.split() == ["etcd.yaml"]
        assert host.run(f"stat -c '%a %U:%G' {MANIFEST}").stdout.split() == ["600", "root:root"]


def test_units_and_drop_ins_are_what_systemd_understands(site: Site) -> None:
    for host in site.hosts:
        found = host.run("systemd-analyze verify kubelet.service 2>&1", check=False)
        about = [line for line in found.stdout.splitlines() if "kubelet" in line or "crio" in line]
        assert (found.returncode, about) == (0, [])
        started = host.run("systemctl show kubelet.service -p ExecStart --value").stdout
        assert "argv[]=/usr/bin/kubelet --config=/etc/kubernetes/kubelet-etcd.yaml ;" in started
        assert host.run("systemctl is-enabled swap.target", check=False).stdout == "masked\n"


def test_the_configuration_of_kubelet_closes_its_door_and_agrees_with_the_runtime(site: Site) -> None:
    for host in site.hosts:
        assert yaml.safe_load(host.read("/etc/kubernetes/kubelet-etcd.yaml")) == {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "systemd",
            "address": "127.0.0.1",
            "containerRuntimeEndpoint": "unix:///var/run/crio/crio.sock",
            "staticPodPath": "/etc/kubernetes/manifests",
            "failCgroupV1": False,
        }
        assert 'cgroup_manager = "systemd"' in host.read("/etc/crio/crio.conf.d/20-etcd-steward.conf")


def test_certificates_lie_where_kubeadm_puts_them_and_no_key_is_open_to_others(site: Site) -> None:
    pki = "/etc/kubernetes/pki"
    pairs = ["etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"]
    for host in site.hosts:
        found = host.run(f"cd {pki}; find . -type f -printf '%P %m %U:%G\\n' | sort").stdout.splitlines()
        wanted = [f"{pair}.crt 644 0:0" for pair in pairs] + [f"{pair}.key 600 0:0" for pair in pairs]
        assert found == sorted([*wanted, "etcd/ca.crt 644 0:0", "etcd/peer-ca.crt 644 0:0"])


def test_probes_are_answered_and_a_killed_member_comes_back_by_itself(site: Site) -> None:
    host = site.hosts[1]
    for path in ("livez", "readyz"):
        assert host.run(f"curl -sf http://127.0.0.1:2381/{path}").stdout.startswith("ok")
    site.put(host, "before", "the kill")
    before = pods(site)
    host.run("pkill -KILL -x etcd")

    def back() -> bool:
        return "is healthy" in site.etcdctl(host, "endpoint", "health", check=False)

    wait_until("the pod to be started again", back, 30)
    assert pods(site)[host.name] != before[host.name]
    assert site.get(host, "before") == "the kill"
    static_pods(site).unchanged()


def test_a_member_that_was_stopped_is_started_and_nobody_else_is_touched(site: Site) -> None:
    host, *others = site.hosts
    before = pods(site)
    host.run(f"mv {MANIFEST} /root/")
    wait_until("the pod to be stopped", lambda: not host.run(POD).stdout, 40)
    assert "stopped" in site.run("-y", "deploys/status.py").failed().text
    static_pods(site).succeeded()
    assert {other.name: pods(site)[other.name] for other in others} == {
        other.name: before[other.name] for other in others
    }


def test_a_certificate_is_renewed_and_no_pod_restarted(site: Site) -> None:
    before = pods(site)
    told = site.run("-y", "-vvv", "--diff", "--data=etcd_renew_all=True", "deploys/renew.py").succeeded().text
    assert "PRIVATE KEY" not in told
    assert pods(site) == before


@pytest.mark.long
def test_new_authorities_are_trusted_pod_by_pod(site: Site) -> None:
    before = site.hosts[0].read("/etc/kubernetes/pki/etcd/ca.crt")
    site.run("-y", "--data=etcd_clients_ready=true", "deploys/rotate_ca.py").succeeded()
    after = site.hosts[0].read("/etc/kubernetes/pki/etcd/ca.crt")
    assert after.count("BEGIN CERTIFICATE") == 1
    assert after != before
    static_pods(site).unchanged()


def test_an_upgrade_brings_another_image_one_pod_at_a_time(site: Site) -> None:
    site.put(site.hosts[0], "release", "3.5.16")
    before = pods(site)
    site.settings["etcd_version"] = "3.5.30"
    site.settings["etcd_config"] = {"heartbeat-interval": 150, "election-timeout": 1500}
    told = site.run("-y", "deploys/upgrade.py").succeeded().text
    assert told.count("voters 3, quorum 2, healthy 3 -> 2") == 3
    assert running(site) == {"3.5.30"}
    assert all(pods(site)[name] != old for name, old in before.items())
    assert all("--heartbeat-interval=150" in host.run(POD).stdout for host in site.hosts)
    images = {yaml.safe_load(host.read(MANIFEST))["spec"]["containers"][0]["image"] for host in site.hosts}
    assert images == {"gcr.io/etcd-development/etcd:v3.5.30"}
    assert site.get(site.hosts[2], "release") == "3.5.16"
    static_pods(site).unchanged()


def test_a_member_without_its_data_is_not_started_when_kubelet_is(site: Site) -> None:
    host, release = site.hosts[2], running(site)
    host.run("systemctl stop kubelet && pkill -TERM -x etcd")
    wait_until("the pod to be gone", lambda: not host.run(POD).stdout, 40)
    host.run("mv /var/lib/etcd/member /var/lib/etcd-unmounted && systemctl start kubelet")
    wait_until("the manifest to be taken away", lambda: not host.exists(MANIFEST), 20)
    assert not host.run(POD).stdout
    static_pods(site).refused("data")
    host.run("mv /var/lib/etcd-unmounted /var/lib/etcd/member")
    static_pods(site).succeeded()
    assert running(site) == release


@pytest.mark.long
def test_a_lost_member_is_replaced(site: Site) -> None:
    host = site.hosts[1]
    site.put(host, "before", "the loss")
    host.run(f"mv {MANIFEST} /root/lost.yaml")
    wait_until("the pod to be stopped", lambda: not host.run(POD).stdout, 40)
    host.run("rm -rf /var/lib/etcd/member")
    static_pods(site, f"--data=etcd_replace={host.name}").succeeded()
    assert site.get(host, "before") == "the loss"
    static_pods(site).unchanged()


@pytest.mark.long
def test_a_snapshot_is_restored_into_all_pods(site: Site) -> None:
    site.put(site.hosts[0], "kept", "yes")
    site.run("-y", "deploys/backup.py").succeeded()
    snapshot = max((site.folder / "backups" / "etcd").glob("*.db"), key=lambda path: path.stat().st_mtime)
    site.put(site.hosts[0], "later", "lost")
    (number,) = site.cluster_ids()
    data = [f"--data=etcd_snapshot={snapshot.name}", f"--data=etcd_restore_over=0x{number:016x}"]
    site.run("-y", *data, "deploys/restore.py").succeeded()
    assert site.cluster_ids() != {number}
    assert (site.get(site.hosts[2], "kept"), site.get(site.hosts[2], "later")) == ("yes", "")
    static_pods(site).unchanged()


def test_a_member_leaves_and_its_pod_with_it(site: Site) -> None:
    host = site.hosts[2]
    name = host.name
    site.run("-y", f"--data=etcd_member={name}", "deploys/remove.py").succeeded()
    assert not host.run(POD).stdout
    assert not host.exists(MANIFEST)
    assert host.run("systemctl is-active kubelet").stdout == "active\n"


def bundle(folder: Path) -> None:
    """Publish a stand-in for the bundle of CRI-O, whose installer puts things where the real one does."""
    inner = folder / "cri-o"
    inner.mkdir()
    (inner / "crio").write_text("#!/bin/sh\nexec sleep infinity\n")
    unit = (STANDINS / "crio.service").read_text().replace("/usr/bin/crio", "/usr/local/bin/crio")
    (inner / "crio.service").write_text(unit)
    (inner / "install").write_text(
        "set -ex\ninstall -D -m 755 -t /usr/local/bin crio\n"
        "install -D -m 644 -t /usr/local/lib/systemd/system crio.service\n"
    )
    archive = folder / "cri-o.amd64.v1.36.3.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", folder, "cri-o"], check=True)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / f"{archive.name}.sha256sum").write_text(f"{digest}  {archive.name}\n")


@pytest.mark.long
def test_kubelet_and_crio_may_come_as_verified_programs(fresh: Callable[..., Site], tmp_path: Path) -> None:
    body = (STANDINS / "kubelet").read_bytes()
    folder = tmp_path / "published/v1.36.3/bin/linux/amd64"
    folder.mkdir(parents=True)
    (folder / "kubelet").write_bytes(body)
    (folder / "kubelet.sha256").write_text(hashlib.sha256(b"another").hexdigest())
    bundle(tmp_path / "published")
    with published(tmp_path / "published") as url:
        own = {
            "etcd_kubelet_version": "v1.36.3",
            "etcd_kubelet_mirror": url,
            "etcd_crio_version": "v1.36.3",
            "etcd_crio_mirror": url,
            **SETTINGS,
        }
        site = fresh(("debian",), settings=own)
        (host,) = site.hosts
        static_pods(site).failed("etcd_kubelet_sha256")
        assert not host.exists("/usr/bin/kubelet")
        (folder / "kubelet.sha256").write_text(hashlib.sha256(body).hexdigest())
        static_pods(site).succeeded()
    assert host.run("readlink /usr/bin/kubelet").stdout == "/opt/kubernetes/v1.36.3/kubelet\n"
    assert host.run("systemctl is-active crio.service").stdout == "active\n"
    assert host.run("systemd-analyze verify kubelet.service 2>&1", check=False).returncode == 0
    static_pods(site).unchanged()


@contextmanager
def published(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, and give its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()

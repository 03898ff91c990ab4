"""Members as static pods of a real kubelet, in Debian's containerd 1.6 and 2.1, out of images that are packed here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.targets import hosts as targets
from tests.targets import kubernetes, mirror, oci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.kubelet]

MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
SOCKET = "unix:///run/containerd/containerd.sock"
IMAGE = "registry.k8s.io/etcd:{version}-0"
FIRST, SECOND, THIRD = "3.5.34", "3.6.16", "3.7.3"


@pytest.fixture(scope="module")
def published() -> Iterator[str]:
    with mirror.serve(kubernetes.published("kubelet")) as url:
        yield url


@pytest.fixture
def pods_site(docker_answers: None, published: str, fresh: Callable[..., Site]) -> Callable[..., Site]:
    """Give a function that boots hosts whose containerd has the images of some releases of etcd."""
    why = targets.why_no_kubelet()
    if why:
        pytest.skip(f"a container of this machine cannot host a kubelet: {why}")

    def make(family: str, count: int, *versions: str, **more: Any) -> Site:
        settings = {
            "etcd_runtime": "static_pod",
            "etcd_container_runtime": "containerd",
            "etcd_node_packages": "present",
            "etcd_kubelet_version": kubernetes.RELEASE,
            "etcd_kubelet_mirror": published,
            "etcd_image": IMAGE,
            "etcd_pause_image": oci.PAUSE,
            # The machine that the tests run on may be an old one.
            "etcd_fail_cgroup_v1": False,
            "etcd_version": versions[0],
            "etcd_force_version": None,
            **more,
        }
        site = fresh([family] * count, settings=settings)
        images = [oci.pause(), *(oci.etcd(version, IMAGE) for version in versions)]
        for host in site.hosts:
            kubernetes.bring_crictl(host)
            host.run("systemctl start containerd")
            oci.load(host, *images)
        return site

    return make


def static_pods(site: Site, *flags: str) -> Outcome:
    return site.run("-y", *flags, "deploys/static_pods.py")


def container(host: Host) -> dict[str, Any]:
    """Ask the container runtime for the member's container."""
    command = f"crictl -r {SOCKET} -i {SOCKET} ps --name '^etcd$' -o json"
    found = json.loads(host.run(command).stdout)["containers"]
    return found[0] if found else {}


def containers(site: Site) -> dict[str, str]:
    return {host.name: container(host).get("id", "") for host in site.hosts}


def running(site: Site) -> set[str]:
    return {site.status(host)["version"] for host in site.hosts}


def test_thin(pods_site: Callable[..., Site]) -> None:
    site = pods_site("kubelet", 1, "3.5.1", etcd_force_version=True)
    static_pods(site).succeeded()
    static_pods(site).unchanged()

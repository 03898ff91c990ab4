"""Members as static pods of a real kubelet, in Debian's containerd, and what a real kubeadm makes in front of them.

All images are packed here (tests/targets/oci.py) and pulled from a registry of our own. kubelet, kubeadm and the control plane
are built from Kubernetes' own modules.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward.templating import render
from tests.e2e.conftest import make_site
from tests.e2e.hopping import (
    BACK,
    BETWEEN,
    CHAIN,
    CUT,
    at_rest,
    cut_and_finish,
    named,
    running,
    take_back,
    told,
    upgrade,
)
from tests.e2e.writer import Served
from tests.targets import hosts as targets
from tests.targets import kubernetes, mirror, oci, registry
from tests.targets.common import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.kubelet]

SOCKET = "unix:///run/containerd/containerd.sock"
CRICTL = f"crictl -r {SOCKET} -i {SOCKET}"
IMAGE = "registry.k8s.io/etcd:{version}-0"
# The newest of each line; the second is where kubeadm's tests begin.
FIRST, SECOND, THIRD = "3.5.34", "3.6.16", "3.7.3"
SETTINGS: dict[str, Any] = {
    "etcd_runtime": "static_pod",
    "etcd_container_runtime": "containerd",
    "etcd_kubelet_version": kubernetes.RELEASE,
    "etcd_image": IMAGE,
    "etcd_pause_image": oci.PAUSE,
    "etcd_force_version": None,
    # The machine that the tests run on may be an old one.
    "etcd_fail_cgroup_v1": False,
}
HOPS = [hop for hop in CHAIN if {*hop} <= {FIRST, SECOND, THIRD}]
MEMBERS = f"static pods of kubelet {kubernetes.RELEASE} in containerd 1.6"
CONVERGE = "deploys/static_pods.py"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"


@pytest.fixture(scope="module")
def make(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Give a function that boots hosts for a kubelet, and serves images to their containerd; nothing is deployed on them."""
    why = targets.why_no_kubelet()
    if why:
        pytest.skip(f"a container of this machine cannot host a kubelet: {why}")
    with ExitStack() as stack:
        tools = stack.enter_context(mirror.serve(kubernetes.published("kubelet", "kubeadm", "kubectl")))

        def boot(families: Sequence[str], versions: Sequence[str], **more: Any) -> Site:
            settings = {**SETTINGS, "etcd_kubelet_mirror": tools, "etcd_version": versions[0], **more}
            folder = tmp_path_factory.mktemp("kubelet")
            site = make_site(stack, families, "docker", mirror_url, cache, folder, {"settings": settings})
            images = [oci.pause(), *(oci.etcd(version, IMAGE) for version in versions)]
            if len(versions) == 1:
                images += oci.control_plane()
            site.registry, _ = stack.enter_context(registry.serve(site.lab, images))
            site.tools = tools
            kubernetes.noted(site.lab, "kubelet")
            for host in site.hosts:
                kubernetes.bring_crictl(host)
                registry.trust(host, site.registry)
            return site

        yield boot


def static_pods(site: Site, *flags: str) -> Outcome:
    return site.run("-y", *flags, "deploys/static_pods.py")


def asked(host: Host, words: str) -> dict[str, Any]:
    """Ask the container runtime something."""
    told: dict[str, Any] = json.loads(host.run(f"{CRICTL} {words} -o json").stdout)
    return told


def containers(site: Site) -> dict[str, str]:
    """Tell each member's container that runs now; none where there is none."""
    found = {host.name: asked(host, "ps --state Running --name ^etcd$")["containers"] for host in site.hosts}
    return {name: listed[0]["id"] if listed else "" for name, listed in found.items()}


def healthy(site: Site, host: Host) -> bool:
    return "is healthy" in site.etcdctl(host, "endpoint", "health", check=False)


@pytest.fixture(scope="module")
def three(make: Callable[..., Site]) -> Site:
    """Give three members in containerd 1.6, converged."""
    site = make(("kubelet",) * 3, (FIRST, SECOND, THIRD))
    # One has no container runtime yet: it is installed out of the distribution's own archive.
    site.hosts[2].run("dpkg --purge containerd && ! command -v containerd")
    static_pods(site).succeeded()
    return site


@pytest.fixture
def site(three: Site) -> Site:
    targets.SEEN.update({"kubelet"})
    return three


def test_members_run_as_pods_of_a_real_kubelet_and_a_second_run_changes_nothing(site: Site) -> None:
    (_,) = site.cluster_ids()
    before = containers(site)
    assert all(before.values())
    for host in site.hosts:
        (pod,) = asked(host, "pods --name etcd")["items"]
        assert (pod["state"], pod["metadata"]["namespace"]) == ("SANDBOX_READY", "kube-system")
    static_pods(site).unchanged()
    site.run("-y", "deploys/status.py").succeeded()
    assert containers(site) == before


def test_kubelet_lets_nobody_in_and_listens_on_loopback_only(site: Site) -> None:
    for host in site.hosts:
        code = host.run("curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1:10250/pods").stdout
        assert code == "401"
        listens = host.run("ss -Hltn 'sport = :10250 or sport = :10248 or sport = :10255'").stdout.split()
        assert {word for word in listens if word.endswith((":10250", ":10248", ":10255"))} == {
            "127.0.0.1:10250",
            "127.0.0.1:10248",
        }


def test_a_killed_container_comes_back_and_no_run_has_anything_to_do(site: Site) -> None:
    host = site.hosts[1]
    site.put(host, "before", "the kill")
    before = containers(site)
    host.run("pkill -KILL -x etcd")
    wait_until("the container to be started again", lambda: healthy(site, host), 90)
    after = containers(site)
    assert after.pop(host.name) != before.pop(host.name)
    assert after == before
    assert site.get(host, "before") == "the kill"
    static_pods(site).unchanged()


def test_a_changed_setting_goes_round_one_pod_at_a_time(site: Site) -> None:
    before = containers(site)
    site.settings["etcd_config"] = {"heartbeat-interval": 150, "election-timeout": 1500}
    with served(site) as during:
        said = static_pods(site).succeeded().text
    assert said.count("voters 3, quorum 2, healthy 3 -> 2") == 3
    assert all(containers(site)[name] not in {"", old} for name, old in before.items())
    during.report.told("a changed setting of static pods under a real kubelet")
    static_pods(site).unchanged()


def before(site: Site, hop: tuple[str, str]) -> Site:
    """Bring the members to the release where a hop begins."""
    if set(running(site)) != {hop[0]}:
        upgrade(site, hop[0]).succeeded()
    return site


def served(site: Site) -> Served:
    return Served(site, logs=False, seconds=600)


@pytest.mark.parametrize(
    "hop", [*HOPS[:2], *(pytest.param(hop, marks=pytest.mark.long) for hop in HOPS[2:])], ids=named
)
def test_a_hop_of_pods_loses_no_write(
    site: Site, hop: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    _, after = hop
    with served(before(site, hop)) as during:
        upgrade(site, after).succeeded()
    told(request, hop, "whole", MEMBERS, during)
    at_rest(site, after, CONVERGE)


@pytest.mark.long
@pytest.mark.parametrize("hop", HOPS, ids=named, scope="class")
class TestInTheMiddle:
    """Both for each hop: the canary leaves the members where the cut begins."""

    def test_a_hop_of_pods_is_taken_back_after_its_canary(
        self, site: Site, hop: tuple[str, str], request: pytest.FixtureRequest
    ) -> None:
        _, after = hop
        before(site, hop)
        canary = site.hosts[1]
        if hop in BETWEEN:
            upgrade(site, after, f"--limit={site.name(canary)}").refused(
                "--limit, wanted one step for a canary"
            )
            return
        ran = containers(site)
        with served(site) as during:
            take_back(site, hop)
        told(request, hop, BACK, MEMBERS, during)
        assert [name for name, now in containers(site).items() if now != ran[name]] == [canary.name]
        at_rest(site, hop[0], CONVERGE)

    def test_a_hop_of_pods_that_is_cut_is_finished_by_the_same_command(
        self, site: Site, hop: tuple[str, str], request: pytest.FixtureRequest
    ) -> None:
        _, after = hop
        with served(before(site, hop)) as during:
            cut_and_finish(site, hop)
        told(request, hop, CUT, MEMBERS, during)
        at_rest(site, after, CONVERGE)


@pytest.fixture(scope="module")
def planes(make: Callable[..., Site]) -> Site:
    """Give one member in containerd 2, and two hosts that shall be control planes."""
    site = make(("kubelet-containerd2",), (SECOND,))
    for name in ("cp1", "cp2"):
        (plane,) = site.lab.start({name: "kubelet-containerd2"})
        site.add_client(
            plane,
            etcd_kubernetes_group="clients",
            etcd_kubernetes_release=kubernetes.RELEASE,
            etcd_kubernetes_endpoint=f"{site.lab['cp1'].address}:6443",
            etcd_kubernetes_install="binaries",
            etcd_kubernetes_mirror=site.tools,
            etcd_kubernetes_cri_socket="/run/containerd/containerd.sock",
            # No image of them is packed here.
            etcd_kubernetes_config={"proxy": {"disabled": True}, "dns": {"disabled": True}},
        )
        a_runtime(plane, site)
    kubernetes.noted(site.lab, "kubeadm", "kubectl", *oci.CONTROL_PLANE)
    return site


def a_runtime(plane: Host, site: Site) -> None:
    """Bring what is the operator's own on a control plane: a container runtime, and where its images come from."""
    kubernetes.bring_crictl(plane)
    registry.trust(plane, site.registry)
    plane.write(
        "/etc/containerd/config.toml",
        render("containerd.toml.j2", config_version=3, pause=oci.PAUSE, cni_bin_dir=""),
    )
    plane.run("systemctl enable containerd && systemctl restart containerd")


def test_kubeadm_makes_a_control_plane_in_front_of_pods_and_a_second_one_joins(planes: Site) -> None:
    site, first, second = planes, planes.clients["cp1"], planes.clients["cp2"]
    targets.SEEN.update({"kubelet-containerd2"})
    static_pods(site).succeeded()
    static_pods(site).unchanged()
    init = "--data=etcd_kubernetes_init=true"
    site.run("-y", init, "deploys/kubernetes.py").succeeded()
    wait_until("an API server", lambda: answers(first), 120)
    site.run("-y", init, "deploys/kubernetes.py").unchanged()
    first.run(f"{KUBECTL} create configmap seen --from-literal=by=etcd")
    keys = site.etcdctl(site.hosts[0], "get", "--keys-only", "/registry/configmaps/default/seen")
    assert keys.strip() == "/registry/configmaps/default/seen"
    second.run(joining(first))
    assert answers(second)
    assert first.run(f"{KUBECTL} get nodes -o name").stdout.split() == ["node/cp1", "node/cp2"]
    # kubeadm join gives the second one the first one's pair; the next run gives it one of its own again.
    pair = "/etc/kubernetes/pki/apiserver-etcd-client.crt"
    assert second.read(pair) == first.read(pair)
    site.run("-y", "deploys/kubernetes.py").succeeded()
    assert second.read(pair) != first.read(pair)
    assert answers(second)
    site.run("-y", "deploys/kubernetes.py").unchanged()


def answers(plane: Host) -> bool:
    """Say whether a control plane's own API server is ready, its etcd among what it asks for."""
    command = f"{KUBECTL} --server=https://{plane.address}:6443 get --raw /readyz"
    return plane.run(command, check=False).stdout == "ok"


def joining(first: Host) -> str:
    """Read the command for a control plane that joins, as an operator does, out of what kubeadm said."""
    said = first.read("/etc/kubernetes/kubeadm-init.log").replace("\\\n", " ")
    found = re.search(r"kubeadm join .*--control-plane.*", said)
    assert found, "kubeadm names no command for control planes"
    return f"{found[0]} --ignore-preflight-errors=SystemVerification"

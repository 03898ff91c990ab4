"""What is promised about members that are static pods, with pyinfra's real engine over pretended hosts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from etcd_steward.commands import apply_command, contents
from etcd_steward.job import make_job
from etcd_steward.leaving import left_behind
from etcd_steward.operations.leaving import stop_and_move_aside
from etcd_steward.verbs import etcd, renew, static_pods, status
from tests.engine.common import HOSTS, N2, counts, only_looked
from tests.engine.fakes import World, run_deploy
from tests.engine.living import Living

if TYPE_CHECKING:
    from pathlib import Path

    from pyinfra.api import StringCommand

    from etcd_steward.work import Work

POD = {"etcd_runtime": "static_pod"}
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
WANTED = "/etc/etcd-steward/etcd-pod.yaml"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, init="systemd", **POD)


@pytest.mark.parametrize("verb", [static_pods, etcd, status, renew], ids=lambda verb: verb.__name__)
def test_converged_pods_cost_one_command_a_host_and_nothing_is_changed(world: World, verb: object) -> None:
    result = run_deploy(world.hosts, verb)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    assert only_looked(result)


def test_members_that_are_services_are_refused_by_the_verb_for_pods(tmp_path: Path) -> None:
    result = run_deploy(World(tmp_path, init="systemd").hosts, static_pods)
    assert 'found etcd_runtime = "service", wanted "static_pod"' in result.refused
    assert not any(result.commands.values())


def test_a_manifest_of_somebody_elses_is_refused(world: World) -> None:
    world.hosts[N2].lines = [line for line in world.lines(N2, "empty") if line != "end"] + [
        f"foreign-unit {MANIFEST}",
        f"process 7 etcd --data-dir={'/var/lib/etcd'}",
        "end",
    ]
    result = run_deploy(world.hosts, static_pods)
    assert f"found a service definition that is not ours ({MANIFEST})" in result.refused
    assert only_looked(result)


def test_a_member_that_runs_as_a_service_is_not_taken_for_a_pod(tmp_path: Path) -> None:
    services = World(tmp_path, init="systemd")
    result = run_deploy(services.hosts, static_pods, data=POD)
    assert "found an etcd that is not ours (process 4711" in result.refused
    assert only_looked(result)


def left(world: World, *changed: tuple[str, str]) -> tuple[Work, StringCommand]:
    """Say what is left to do on a host that tells some things otherwise, and with which command it is done."""
    lines = world.hosts[N2].lines
    for begins, otherwise in changed:
        lines = [otherwise if line.startswith(begins) else line for line in lines]
    world.hosts[N2].lines = lines
    sight = world.sight()
    job = make_job(sight, sight.decide(), datetime.now(UTC))
    member, one = world.cluster.member(N2), job.works[N2]
    made = contents(member, [], [file for file in one.files if file.turn], sight.credentials.pair)
    return one, apply_command(member, sight.hosts[N2], one, job.wanted[N2], made, stop=True, start=True)


def test_a_pod_that_runs_with_an_older_manifest_is_stopped_written_and_started(world: World) -> None:
    work, command = left(world, ("started config", f"started config {'0' * 64}"))
    assert (work.restart, work.turn, work.files) == (True, True, ())
    text = str(command)
    steps = ["crictl -r", 'mv -f "$manifest" "$was"', 'sh "$check" start', 'mv -f "$new" "$manifest"']
    # What starts a member again after a change that failed stands before it is stopped.
    assert sorted(steps, key=text.rindex) == steps
    assert f"manifest={MANIFEST}" in text
    assert "systemctl start --no-block $units" in text


def test_what_only_matters_for_a_first_start_is_written_and_restarts_no_pod(world: World) -> None:
    work, _ = left(world, (f"file {manifest_digest(world)}", f"file {'1' * 64} 600 root:root {WANTED}"))
    assert [file.path for file in work.files] == [WANTED]
    assert not work.restart
    assert not work.turn


def test_a_manifest_that_only_tells_of_other_authorities_is_written_before_the_pod_is_started(
    world: World,
) -> None:
    """Only a comment tells of them, which kubelet does not see; what is started must not be the older one."""
    work, command = left(
        world,
        ("started authorities", f"started authorities {'0' * 64}"),
        (f"file {manifest_digest(world)}", f"file {'1' * 64} 600 root:root {WANTED}"),
    )
    assert (work.restart, [file.turn for file in work.files]) == (True, [True])
    assert f"put {WANTED} 600 root:root" in str(command)


def manifest_digest(world: World) -> str:
    line = next(line for line in world.hosts[N2].lines if line.endswith(f" {WANTED}"))
    return line.split()[1]


def test_a_member_that_leaves_takes_its_pod_along_and_kubelet_stays(world: World) -> None:
    member, state = world.cluster.member(N2), world.sight().hosts[N2]
    assert left_behind(member.settings, state)[:2] == ("service", "schedule")
    command = str(stop_and_move_aside(member, state, ("service", "data", WANTED)))
    assert 'mv -f "$manifest" "$was"' in command
    assert "disable" not in command


# What each package manager is told, in order.
APT = (
    "apt-get",
    "https://pkgs.k8s.io/core:/stable:/v1.37/deb/Release.key",
    "put /etc/apt/sources.list.d/kubernetes.list 644",
    "https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.37/deb/Release.key",
    "put /etc/apt/sources.list.d/cri-o.list 644",
    "kubelet cri-tools cri-o",
    "apt-mark hold cri-o cri-tools kubelet",
    "systemctl mask --quiet swap.target",
)
DNF = (
    "put /etc/yum.repos.d/kubernetes.repo 644",
    "put /etc/yum.repos.d/cri-o.repo 644",
    "--disableexcludes=kubernetes kubelet cri-tools container-selinux cri-o",
    "systemctl mask --quiet swap.target",
)


@pytest.mark.parametrize(("system", "steps"), [("ubuntu", APT), ("centos", DNF)])
def test_kubelet_and_runtime_are_installed_from_their_repositories_where_they_are_missing(
    world: World, system: str, steps: tuple[str, ...]
) -> None:
    host = world.hosts[N2]
    host.lines = [
        f"os ID={system}" if line.startswith("os ID=") else line
        for line in host.lines
        if not line.startswith(("node program", "node unit"))
    ]
    host.lines.insert(-1, "node swap /dev/sda2")
    result = run_deploy(Living(world).hosts, static_pods)
    assert (result.refused, result.failed) == ("", set())
    told = "\n".join(result.commands[N2])
    assert [step for step in steps if step not in told] == []
    assert sorted(steps, key=told.index) == list(steps)
    others = "\n".join("\n".join(result.commands[name]) for name in HOSTS if name != N2)
    assert "kubelet cri-tools" not in others


def test_debians_own_containerd_is_installed_and_nothing_else_is_added(tmp_path: Path) -> None:
    """A verified kubelet beside it needs no repository of Kubernetes', which may be out of reach."""
    own = {"etcd_container_runtime": "containerd", "etcd_kubelet_version": "v1.36.3"}
    world = World(tmp_path, init="systemd", **POD, **own)
    gone = ("node program containerd", "node unit containerd", "node kubelet")
    for host in world.hosts.values():
        host.lines = [line for line in host.lines if not line.startswith(gone)]
        host.lines = ["os ID=debian" if line.startswith("os ID=") else line for line in host.lines]
        host.lines.insert(-1, "node kubelet /opt/kubernetes/v1.36.3/kubelet")
    result = run_deploy(Living(world).hosts, static_pods)
    assert (result.refused, result.failed) == ("", set())
    told = "\n".join(result.commands[N2])
    assert "install containerd" in told
    assert "sources.list.d" not in told
    assert "apt-mark" not in told


def test_a_pod_that_no_kubelet_tends_is_told_by_the_status_and_mended(world: World) -> None:
    host = world.hosts[N2]
    host.lines = [
        "service Kubelet=inactive" if line == "service Kubelet=active" else line for line in host.lines
    ]
    told = run_deploy(world.hosts, status)
    assert (told.refused, told.failed) == ("", set())
    assert f"{N2}: found etcd running (kubelet inactive), wanted kubelet running" in told.log + told.stdout
    host.lines = [line for line in host.lines if line != "node unit kubelet.service"]
    result = run_deploy(Living(world).hosts, static_pods)
    assert (result.refused, result.failed) == ("", set())
    assert any("systemctl start --no-block" in command for command in result.commands[N2])


def test_a_dry_run_prepares_no_host(world: World) -> None:
    host = world.hosts[N2]
    host.lines = [line for line in host.lines if not line.startswith(("node module", "node unit"))]
    result = run_deploy(world.hosts, static_pods, mode="dry")
    assert (result.refused, result.failed) == ("", set())
    assert only_looked(result)


def test_a_host_that_lost_its_preparation_is_mended_and_no_pod_is_touched(world: World) -> None:
    world.hosts[N2].lines = [line for line in world.hosts[N2].lines if not line.startswith("node module")]
    result = run_deploy(Living(world).hosts, static_pods)
    assert (result.refused, result.failed) == ("", set())
    told = "\n".join(result.commands[N2])
    assert "modules='overlay br_netfilter'" in told
    assert 'mv -f "$manifest" "$was"' not in told


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("etcd_runtime", "pod", "'service' or 'static_pod'"),
        ("etcd_image", "etcd latest", "an image with its tag or digest"),
        ("etcd_image", 'a"b', "an image with its tag or digest"),
        ("etcd_manifest_dir", "manifests", "an absolute path"),
        ("etcd_kubernetes_version", "1.36.3", "a minor version of Kubernetes"),
        ("etcd_kubelet_version", "1.36", "a release of Kubernetes such as v1.37.2"),
        ("etcd_crio_version", "latest", "a release of Kubernetes such as v1.37.2"),
        ("etcd_pod_requests", {"cpu": "much"}, "a quantity of Kubernetes"),
        ("etcd_pod_limits", {"disk": "1Gi"}, "'cpu' or 'memory'"),
        ("etcd_container_runtime", "docker", "'crio' or 'containerd'"),
        ("etcd_config", {"listen-metrics-urls": ["http://10.0.0.1:2381"]}, "where kubelet's probes ask"),
        ("etcd_config", {"socket-options": {}}, "which is no flag of etcd"),
        ("etcd_service", "etcd_A", "a pod's name"),
    ],
)
def test_a_wrong_setting_is_named_before_any_host_is_asked(
    world: World, key: str, value: object, wanted: str
) -> None:
    result = run_deploy(world.hosts, static_pods, data={key: value})
    assert key in result.refused
    assert wanted in result.refused
    assert not any(result.commands.values())


def test_a_bundle_beside_another_runtime_is_refused(world: World) -> None:
    data = {"etcd_crio_version": "v1.36.3", "etcd_container_runtime": "containerd"}
    refused = run_deploy(world.hosts, static_pods, data=data).refused
    assert "found etcd_crio_version beside etcd_container_runtime containerd, wanted one runtime" in refused


def test_a_bundle_is_installed_before_the_runtime_is_started_anew_and_once(world: World) -> None:
    data = {"etcd_crio_version": "v1.36.3"}
    planned = run_deploy(world.hosts, static_pods, data=data, mode="dry")
    assert not any(planned.uploads.values())
    names = planned.operations
    start = names.index("static pods | etcd | Install CRI-O v1.36.3")
    assert names[start + 1] == "static pods | etcd | Prepare the host for static pods"
    for host in world.hosts.values():
        host.lines.insert(-1, "node bundle v1.36.3")
    assert run_deploy(world.hosts, static_pods, data=data).only_looked


def test_b19_a_containerd_configuration_of_somebody_else_is_refused_before_any_change(tmp_path: Path) -> None:
    world = World(tmp_path, init="systemd", **POD, etcd_container_runtime="containerd")
    assert run_deploy(world.hosts, static_pods).refused == "", "nothing is said of one that we have written"
    path = "/etc/containerd/config.toml"
    for line in (f"node beside file {path}", f"node beside key root {path}"):
        world.hosts[N2].lines.insert(-1, line)
    result = run_deploy(world.hosts, static_pods)
    assert (
        f"{N2}: found {path} of somebody else (root), wanted none, or the one of containerd's package"
        in result.refused
    )
    assert f"`mv {path} {path}.before` on this host" in result.refused
    assert only_looked(result)


def test_b18_a_service_that_would_bring_swap_back_is_switched_off(world: World) -> None:
    world.hosts[N2].lines.insert(-1, "node swap dphys-swapfile.service at boot")
    result = run_deploy(Living(world).hosts, static_pods)
    assert (result.refused, result.failed) == ("", set())
    (told,) = [one for one in result.commands[N2] if "systemctl mask --quiet swap.target" in one]
    assert 'systemctl disable --quiet "$unit"' in told
    assert "dphys-swapfile" in told

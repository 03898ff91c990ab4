"""The manifest of a static pod is kubeadm's, value by value, and nothing in it is a typing error."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from etcd_steward import manifest, versions
from etcd_steward.configuration import Config, TlsFiles
from etcd_steward.desired import UNSETTLED

PKI = "/etc/kubernetes/pki/etcd"
SEED = Config(
    name="etcd01",
    data_dir="/var/lib/etcd",
    wal_dir=None,
    listen_peer_urls=("https://10.107.88.15:2380",),
    listen_client_urls=("https://10.107.88.15:2379", "https://127.0.0.1:2379"),
    advertise_peer_urls=("https://10.107.88.15:2380",),
    advertise_client_urls=("https://10.107.88.15:2379",),
    initial_cluster={
        "etcd02": ("https://10.107.88.16:2380",),
        "etcd01": ("https://10.107.88.15:2380",),
        "etcd03": ("https://10.107.88.17:2380",),
    },
    token="etcd-12345678",
    state="new",
    client_tls=TlsFiles(f"{PKI}/server.crt", f"{PKI}/server.key", f"{PKI}/ca.crt"),
    peer_tls=TlsFiles(f"{PKI}/peer.crt", f"{PKI}/peer.key", f"{PKI}/peer-ca.crt"),
)
POD = manifest.Pod(
    name="etcd",
    image="registry.k8s.io/etcd:{version}-0",
    config=SEED,
    authorities="a" * 64,
    requests={"cpu": "100m", "memory": "100Mi"},
)
RELEASES = ("3.4.23", "3.4.29", "3.5.10", "3.5.11", "3.5.16", "3.5.30", "3.6.8", "3.7.1")
each_release = pytest.mark.parametrize("release", RELEASES)


def written(release: str, **changes: Any) -> str:
    return manifest.render(replace(POD, **changes), versions.parse(release))


def read(release: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(written(release, **changes))
    return found


def container(release: str, **changes: Any) -> dict[str, Any]:
    (one,) = read(release, **changes)["spec"]["containers"]
    found: dict[str, Any] = one
    return found


@each_release
@pytest.mark.parametrize("kubernetes", ["1.31", "1.36", "1.37"])
def test_the_manifest_is_a_pod_to_the_strictest_schema(release: str, kubernetes: str) -> None:
    kubernetes_validate.validate(read(release), kubernetes, strict=True)


@pytest.mark.parametrize("typo", ["hostNetwrk", "volume"])
def test_the_schema_finds_a_typing_error_that_kubelet_passes_over(typo: str) -> None:
    pod = read("3.6.8")
    pod["spec"][typo] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, "1.36", strict=True)


def test_the_command_has_the_order_and_the_values_of_kubeadm_for_3_6() -> None:
    assert container("3.6.8")["command"][:21] == [
        "etcd",
        "--advertise-client-urls=https://10.107.88.15:2379",
        "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
        "--client-cert-auth=true",
        "--data-dir=/var/lib/etcd",
        "--feature-gates=InitialCorruptCheck=true",
        "--initial-advertise-peer-urls=https://10.107.88.15:2380",
        "--initial-cluster=etcd01=https://10.107.88.15:2380,etcd02=https://10.107.88.16:2380,etcd03=https://10.107.88.17:2380",
        "--key-file=/etc/kubernetes/pki/etcd/server.key",
        "--listen-client-urls=https://127.0.0.1:2379,https://10.107.88.15:2379",
        "--listen-metrics-urls=http://127.0.0.1:2381",
        "--listen-peer-urls=https://10.107.88.15:2380",
        "--name=etcd01",
        "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt",
        "--peer-client-cert-auth=true",
        "--peer-key-file=/etc/kubernetes/pki/etcd/peer.key",
        "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/peer-ca.crt",
        "--snapshot-count=10000",
        "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
        "--watch-progress-notify-interval=5s",
        "--initial-cluster-state=new",
    ]


def test_releases_before_3_6_get_the_names_that_they_know() -> None:
    command = container("3.5.30")["command"]
    assert command[5:7] == [
        "--experimental-initial-corrupt-check=true",
        "--experimental-watch-progress-notify-interval=5s",
    ]
    assert not [flag for flag in command if flag.startswith(("--feature-gates", "--watch-progress"))]
    assert "--experimental-watch-progress-notify-interval=5s" not in container("3.4.3")["command"]
    assert not [flag for flag in container("3.7.1")["command"] if "experimental" in flag]


def test_a_flag_of_the_users_takes_the_place_of_kubeadms_and_stands_behind() -> None:
    extra = {
        "snapshot-count": 5000,
        "grpc-keepalive-min-time": "5s",
        "enable-pprof": False,
        "cipher-suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
        "feature-gates": {"CompactHashCheck": True},
    }
    command = container("3.6.8", config=replace(SEED, extra=extra))["command"]
    assert command[-8:] == [
        "--initial-cluster-token=etcd-12345678",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=8h",
        "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384",
        "--enable-pprof=false",
        "--feature-gates=CompactHashCheck=true,InitialCorruptCheck=true",
        "--grpc-keepalive-min-time=5000000000ns",
        "--snapshot-count=5000",
    ]
    names = [flag.partition("=")[0] for flag in command]
    assert len(names) == len(set(names))


def test_the_pod_is_kubeadms() -> None:
    pod = read("3.6.8")
    assert pod["apiVersion"] == "v1"
    assert pod["kind"] == "Pod"
    assert pod["metadata"] == {
        "annotations": {
            "kubeadm.kubernetes.io/etcd.advertise-client-urls": "https://10.107.88.15:2379",
        },
        "labels": {"component": "etcd", "tier": "control-plane"},
        "name": "etcd",
        "namespace": "kube-system",
    }
    assert {key: value for key, value in pod["spec"].items() if key != "containers"} == {
        "hostNetwork": True,
        "priority": 2000001000,
        "priorityClassName": "system-node-critical",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {
                "hostPath": {"path": "/etc/kubernetes/pki/etcd", "type": "DirectoryOrCreate"},
                "name": "etcd-certs",
            },
            {"hostPath": {"path": "/var/lib/etcd", "type": "DirectoryOrCreate"}, "name": "etcd-data"},
        ],
    }
    assert pod["status"] == {}


def test_the_container_is_kubeadms() -> None:
    one = container("3.6.8")
    get = {"host": "127.0.0.1", "port": "probe-port", "scheme": "HTTP"}
    del one["command"]
    assert one == {
        "image": "registry.k8s.io/etcd:3.6.8-0",
        "imagePullPolicy": "IfNotPresent",
        "livenessProbe": {
            "failureThreshold": 8,
            "httpGet": {**get, "path": "/livez"},
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 15,
        },
        "name": "etcd",
        "ports": [{"containerPort": 2381, "name": "probe-port", "protocol": "TCP"}],
        "readinessProbe": {
            "failureThreshold": 3,
            "httpGet": {**get, "path": "/readyz"},
            "periodSeconds": 1,
            "timeoutSeconds": 15,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
        "startupProbe": {
            "failureThreshold": 24,
            "httpGet": {**get, "path": "/readyz"},
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 15,
        },
        "volumeMounts": [
            {"mountPath": "/var/lib/etcd", "name": "etcd-data"},
            {"mountPath": "/etc/kubernetes/pki/etcd", "name": "etcd-certs"},
        ],
    }


@pytest.mark.parametrize(
    ("release", "alive", "begun"),
    [
        ("3.5.11", "/livez", "/readyz"),
        ("3.4.29", "/livez", "/readyz"),
        ("3.7.1", "/livez", "/readyz"),
        ("3.5.10", "/health?exclude=NOSPACE&serializable=true", "/health?serializable=false"),
        ("3.4.28", "/health?exclude=NOSPACE&serializable=true", "/health?serializable=false"),
    ],
)
def test_probes_ask_what_the_release_answers(release: str, alive: str, begun: str) -> None:
    one = container(release)
    assert one["livenessProbe"]["httpGet"]["path"] == alive
    assert one["startupProbe"]["httpGet"]["path"] == begun
    assert ("readinessProbe" in one) == (alive == "/livez")


def test_limits_and_a_log_of_its_own_are_there_where_they_are_set() -> None:
    config = replace(SEED, wal_dir="/ssd/etcd-wal/wal")
    one = container("3.5.30", config=config, limits={"memory": "8Gi"})
    assert one["resources"]["limits"] == {"memory": "8Gi"}
    assert {"mountPath": "/ssd/etcd-wal", "name": "etcd-wal"} in one["volumeMounts"]
    assert "--wal-dir=/ssd/etcd-wal/wal" in one["command"]


def test_growing_and_closing_the_record_change_nothing_that_a_restart_is_due_for() -> None:
    grown = replace(
        SEED,
        state="existing",
        initial_cluster={**SEED.initial_cluster, "etcd04": ("https://10.107.88.18:2380",)},
    )
    before, after = written("3.5.30"), written("3.5.30", config=grown)
    assert before != after
    assert manifest.settled_lines(before) == manifest.settled_lines(after)
    assert manifest.settled_lines(before) != manifest.settled_lines(written("3.5.16"))


def test_every_flag_stands_on_a_line_of_its_own() -> None:
    names = "".join(f"member-{number:03d}" for number in range(40))
    long = replace(SEED, initial_cluster={names: ("https://10.107.88.15:2380",)})
    lines = written("3.5.30", config=long).splitlines()
    assert sum(line.startswith("    - --initial-cluster=") for line in lines) == 1
    assert any(line.startswith(f"    - --initial-cluster={names}=https") for line in lines)


def test_what_a_release_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="feature-gates"):
        written("3.5.30", config=replace(SEED, extra={"feature-gates": {"CompactHashCheck": True}}))


@pytest.mark.parametrize("release", ["3.5.30", "3.6.8"])
def test_a_host_leaves_out_the_same_lines_as_we_do(release: str) -> None:
    text = written(release)
    done = subprocess.run(
        ["sed", "-E", f"/{UNSETTLED['static_pod']}/d"], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout == manifest.settled_lines(text)
    assert "--initial-cluster" not in done.stdout
    assert "initial-corrupt-check" in done.stdout.lower().replace(
        "initialcorruptcheck", "initial-corrupt-check"
    )

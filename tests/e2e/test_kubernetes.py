"""A control plane in front of a cluster: real etcd, real certificates, a real systemd, and stand-ins for kubeadm's processes.

No kubeadm and no kubelet are to be had where these tests run. The stand-in of kubeadm reads its configuration, writes into
etcd with the API server's pair, and prints what must not be shown.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import yaml

from etcd_steward.certificates import LeafSpec, Subject, read_certificate
from etcd_steward.pki import create_authority, issue
from tests.e2e.conftest import make_site
from tests.e2e.foretelling import foretold
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

RELEASE = "v1.36.3"
PKI = "/etc/kubernetes/pki"
CA, CERTIFICATE, KEY = (
    f"{PKI}/{name}" for name in ("etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key")
)
CONFIG, LOG = "/etc/kubernetes/kubeadm-config.yaml", "/etc/kubernetes/kubeadm-init.log"
TOKEN, CERTIFICATE_KEY = "abcdef.0123456789abcdef", "5ca1ab1e" * 8
# kubeadm refuses an etcd before 3.5.24; this is the one that is to be had, and needs glibc.
VERSION = "3.5.30"
WRONG = 'error: strict decoding error: unknown field \\"apiServer.certSAN\\"'
STAND_INS = {
    "kubeadm": rf"""#!/bin/sh
[ "$1" != version ] || {{ echo {RELEASE}; exit 0; }}
[ "$*" != "config validate --config {CONFIG}" ] || {{ [ ! -e /root/config-is-wrong ] || {{ echo "{WRONG}" >&2; exit 1; }}; exit 0; }}
[ "$*" = "init --config {CONFIG} --upload-certs" ] || {{ echo "found $*" >&2; exit 2; }}
of() {{ sed -n "s/^ *$1: \"\(.*\)\"$/\1/p" {CONFIG}; }}
endpoints=$(sed -n '/endpoints:/,/caFile/s/^ *- "\(.*\)"$/\1/p' {CONFIG} | paste -sd,)
echo "kubeadm join 10.0.0.1:6443 --token {TOKEN} --control-plane --certificate-key {CERTIFICATE_KEY}"
[ ! -e /root/preflight-fails ] || {{ echo "	[ERROR Swap]: swap is on" >&2; exit 1; }}
ETCDCTL_API=3 /opt/etcd/{VERSION}/etcdctl --endpoints="$endpoints" --cacert="$(of caFile)" --cert="$(of certFile)" \
  --key="$(of keyFile)" put /registry/stand-in "$(of kubernetesVersion)" || exit 1
echo times >>/root/init-runs
echo admin >/etc/kubernetes/admin.conf
""",
    # As the real one: it knows no --version, and without --client it asks an API server.
    "kubectl": f"""#!/bin/sh
[ "$*" = "version --client" ] || {{ echo "error: unknown flag: $1" >&2; exit 1; }}
echo Client Version: {RELEASE}
""",
    "kubelet": f"#!/bin/sh\necho Kubernetes {RELEASE}\n",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Publish the stand-ins in the layout of dl.k8s.io/release."""
    root = tmp_path_factory.mktemp("kubernetes")
    folder = root / RELEASE / "bin/linux/amd64"
    folder.mkdir(parents=True)
    for tool, text in STAND_INS.items():
        (folder / tool).write_text(text)
        (folder / f"{tool}.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())
    with mirror.serve(root) as url:
        yield url


@pytest.fixture(scope="module")
def made(
    docker_answers: None,
    mirror_url: str,
    published: str,
    cache: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Give a cluster, and a host beside it that shall be a control plane."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("control-planes")
        settings = {"etcd_version": VERSION}
        site = make_site(stack, ("debian",), "ssh", mirror_url, cache, folder, {"settings": settings})
        (plane,) = site.lab.start({"cp1": "debian"})
        site.add_client(
            plane,
            etcd_kubernetes_group="clients",
            etcd_kubernetes_release=RELEASE,
            etcd_kubernetes_endpoint=f"{plane.address}:6443",
            etcd_kubernetes_cert_sans=["test.example.poc"],
            etcd_kubernetes_install="binaries",
            etcd_kubernetes_mirror=published,
        )
        site.etcd("-y").succeeded()
        yield site


@pytest.fixture(params=[title("debian")])
def site(made: Site) -> Site:
    targets.SEEN.update({"debian"})
    return made


@pytest.fixture
def plane(site: Site) -> Host:
    return site.clients["cp1"]


def kubernetes(site: Site, *flags: str) -> Outcome:
    return site.run("-y", *flags, "deploys/kubernetes.py")


def asked(site: Site, plane: Host, certificate: str, key: str, words: str) -> str:
    """Run etcdctl on the control plane with a pair that lies there."""
    command = f"ETCDCTL_API=3 /opt/etcd/{VERSION}/etcdctl --endpoints=https://{site.hosts[0].address}:2379 --cacert={CA}"
    done = plane.run(f"{command} --cert={certificate} --key={key} --command-timeout=3s {words}", check=False)
    return done.stdout if done.returncode == 0 else f"failed {done.returncode}"


def test_a_control_plane_gets_the_three_files_the_tools_and_kubeadms_configuration(
    site: Site, plane: Host
) -> None:
    outcome = foretold(site, "kubernetes", "-vvv", "--debug", "--diff")
    assert "PRIVATE KEY" not in outcome.text
    listed = plane.run(f"find {PKI} -type f -exec stat -c '%a %U:%G %n' {{}} + | sort").stdout.splitlines()
    assert listed == [f"600 root:root {KEY}", f"644 root:root {CERTIFICATE}", f"644 root:root {CA}"]
    leaf = read_certificate(plane.read(CERTIFICATE))
    assert leaf is not None
    assert leaf.certificate.subject.rfc4514_string() == "CN=kube-apiserver-etcd-client"
    first, cluster = yaml.safe_load_all(plane.read(CONFIG))
    assert first == {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "InitConfiguration"}
    assert cluster == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "kubernetesVersion": RELEASE,
        "controlPlaneEndpoint": f"{plane.address}:6443",
        "apiServer": {"certSANs": ["test.example.poc"]},
        "etcd": {
            "external": {
                "endpoints": [f"https://{host.address}:2379" for host in site.hosts],
                "caFile": CA,
                "certFile": CERTIFICATE,
                "keyFile": KEY,
            }
        },
        "networking": {"podSubnet": "10.244.0.0/16"},
    }
    for tool in STAND_INS:
        assert plane.run("readlink", f"/usr/local/bin/{tool}").stdout == f"/opt/kubernetes/{RELEASE}/{tool}\n"
    assert plane.run("systemctl", "is-enabled", "kubelet").stdout == "enabled\n"
    told = plane.run("systemd-analyze", "verify", "/etc/systemd/system/kubelet.service", check=False)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
    kubernetes(site).unchanged()
    assert not plane.exists("/root/init-runs"), "nobody asked for kubeadm init"


def test_the_api_servers_pair_is_enough_and_no_other_is(site: Site, plane: Host) -> None:
    if not plane.exists(KEY):
        kubernetes(site).succeeded()
    assert asked(site, plane, CERTIFICATE, KEY, "put from-the-api-server 1") == "OK\n"
    authority = create_authority("a stranger", subject=Subject(), days=9, now=datetime.now(UTC))
    spec = LeafSpec("client", "kube-apiserver-etcd-client", subject=Subject(), days=9)
    pair = issue(authority, spec, now=datetime.now(UTC))
    plane.write("/root/wrong.crt", pair.certificate_pem)
    plane.write("/root/wrong.key", pair.key_pem, 0o600)
    assert asked(site, plane, "/root/wrong.crt", "/root/wrong.key", "get x").startswith("failed")


def test_kubeadm_init_runs_once_and_its_secrets_are_for_root_alone(site: Site, plane: Host) -> None:
    asks = "--data=etcd_kubernetes_init=true"
    plane.write("/root/preflight-fails", "")
    failed = kubernetes(site, asks).failed("[ERROR Swap]: swap is on", f"look into {LOG} on this host")
    plane.run("rm /root/preflight-fails")
    outcome = kubernetes(site, asks, "-vvv", "--debug").succeeded()
    for text in (failed.text, outcome.text):
        assert TOKEN not in text
        assert CERTIFICATE_KEY not in text
    assert TOKEN in plane.read(LOG)
    assert plane.run(f"stat -c '%a %U:%G' {LOG}").stdout == "600 root:root\n"
    assert site.get(site.hosts[0], "/registry/stand-in") == RELEASE
    kubernetes(site, asks).unchanged()
    assert plane.read("/root/init-runs") == "times\n"


def test_a_kubernetes_is_not_made_over_anothers_keys(site: Site, plane: Host) -> None:
    kubernetes(site, "--data=etcd_kubernetes_init=true").succeeded()
    plane.run("mv /etc/kubernetes/admin.conf /root/admin.conf")
    kubernetes(site, "--data=etcd_kubernetes_init=true").refused(
        "found keys of a Kubernetes (/registry), and none on"
    )
    plane.run("mv /root/admin.conf /etc/kubernetes/admin.conf")
    site.put(site.hosts[0], "/bootstrap/0123456789ab", "x")
    kubernetes(site).refused("found keys of k3s (/bootstrap)")
    site.etcdctl(site.hosts[0], "del", "/bootstrap/0123456789ab")
    kubernetes(site).unchanged()

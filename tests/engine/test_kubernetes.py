"""What is promised about `deploys/kubernetes.py`, with pyinfra's engine over pretended hosts."""

import re

import pytest
import yaml

from etcd_steward import binaries
from etcd_steward.downloads import Archive
from etcd_steward.verbs import kubernetes
from tests.engine.fakes import PROBE, FakeHost, World, run_deploy
from tests.engine.written import digests, written

CP1, CP2 = PLANES = ("@fake/cp1", "@fake/cp2")
CONFIG, LOG = "/etc/kubernetes/kubeadm-config.yaml", "/etc/kubernetes/kubeadm-init.log"
CA, CERTIFICATE, KEY = (
    f"/etc/kubernetes/pki/{name}"
    for name in ("etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key")
)
TOOLS = ("kubeadm", "kubectl", "kubelet")
GIVEN = {
    "etcd_client_of": "etcd",
    "etcd_kubernetes_release": "v1.36.3",
    "etcd_kubernetes_endpoint": "10.107.88.9:6443",
    "etcd_kubernetes_cert_sans": ["test.example.poc"],
    "fake_delay": 0,
    "fake_delay_jitter": 0,
}
SYSTEMS = {
    "apt": ["os ID=debian"],
    "dnf": ['os ID="rocky"', 'os ID_LIKE="rhel centos fedora"'],
    "apk": ["os ID=alpine", 'os PRETTY_NAME="Alpine Linux v3.23"'],
}


class Front:
    """Two control planes in front of a cluster of three."""

    def __init__(self, folder, system="apt", version=None, **data):
        self.world = World(folder, **({"etcd_version": version} if version else {}))
        self.init = "openrc" if system == "apk" else "systemd"
        self.system, self.keys, self.more, self.deaf = SYSTEMS[system], [], [], ""
        self.files = {name: {} for name in PLANES}
        self.tools = {name: set() for name in PLANES}
        self.admin, self.fails = set(), False
        self.called = {name: [f"hostname {name[-3:]}"] for name in PLANES}
        self.hosts = dict(self.world.hosts)
        for name in self.world.hosts:
            self.hosts[name].reply = self.member
        for name in PLANES:
            own = {**GIVEN, "etcd_pki_dir": str(self.world.pki), **data}
            reply = lambda command, name=name: self.reply(name, command)  # noqa: E731
            self.hosts[name] = FakeHost(name, own, reply=reply, groups=("control_planes",))

    def member(self, command):
        if "for prefix in /registry/" in command:
            return [*(f"key {key}" for key in self.keys), "asked /registry/", "asked /bootstrap/"]
        return []

    def reply(self, name, command):  # noqa: PLR0911 - one for each question
        files = self.files[name]
        if "at=$(command -v" in command:
            return self.look(name)
        if "uname -m" in command:
            return ["x86_64"]
        if ".archive-sha256" in command:
            return [f"{self.world.version} {'0' * 64}"]
        if "for file in" in command and "sha256sum" in command and "put() {" not in command:
            return digests(files)
        if "certificates_in /" in command:
            return [f"pem {line}" for line in files.get(CERTIFICATE, ("", "", ""))[0].splitlines()]
        if "reached $endpoint" in command:
            urls = [one.client_url for one in self.world.cluster.members]
            return [f"down {url} refused" if url == self.deaf else f"reached {url}" for url in urls]
        if re.search(r"^(.*apt-get|dnf) .*install ", command) or "at=$bin_dir/$tool" in command:
            self.tools[name] |= set(TOOLS)
        if "kubeadm init --config" in command:
            if self.fails:
                return None
            self.admin.add(name)
        return []

    def look(self, name):
        return [
            "look 1",
            "machine x86_64",
            f"init {self.init}",
            *self.called[name],
            *self.system,
            *(f"file {line}" for line in digests(self.files[name])),
            *(f"tool {tool} /usr/bin/{tool} v1.36.3" for tool in sorted(self.tools[name])),
            *(["kubelet enabled"] if self.tools[name] else []),
            *(["admin yes", "log whole"] if name in self.admin else []),
            *self.more,
            "end",
        ]

    def run(self, **options):
        result = run_deploy(self.hosts, kubernetes, **options)
        for name in PLANES:
            self.files[name] |= written(result, name)
        return result


@pytest.fixture
def make(tmp_path, monkeypatch):
    program = tmp_path / "kubeadm"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setattr(binaries, "obtain", lambda *_, **__: Archive(program, "0" * 64))

    def make(system="apt", **data):
        return Front(tmp_path / "controller", system, **data)

    return make


def changed(result):
    """Name the hosts that were given files, packages or more."""
    words = ("apt-get", "install ", "kubeadm init --config", "put() {")
    return {
        name
        for name, commands in result.commands.items()
        if result.stdin[name]
        or result.uploads[name]
        or any(word in one for word in words for one in commands if PROBE not in one)
    }


def ran_init(result):
    return [
        name
        for name in PLANES
        if any("kubeadm init --config" in command for command in result.commands[name])
    ]


@pytest.mark.parametrize("yes", [True, False])
def test_control_planes_get_exactly_the_three_files_and_the_first_one_kubeadms_configuration(make, yes):
    front = make()
    result = front.run(yes=yes)
    assert (result.refused, result.failed) == ("", set())
    for name in PLANES:
        pki = {path: own[1:] for path, own in front.files[name].items() if "/pki/" in path}
        assert pki == {CA: ("644", "root:root"), CERTIFICATE: ("644", "root:root"), KEY: ("600", "root:root")}
        assert "CN=kube-apiserver-etcd-client" in certificate_subject(front.files[name][CERTIFICATE][0])
    assert CONFIG not in front.files[CP2]
    text, mode, _ = front.files[CP1][CONFIG]
    first, cluster = yaml.safe_load_all(text)
    assert (first["kind"], mode) == ("InitConfiguration", "600")
    assert cluster["etcd"]["external"] == {
        "endpoints": [one.client_url for one in front.world.cluster.members],
        "caFile": CA,
        "certFile": CERTIFICATE,
        "keyFile": KEY,
    }
    assert cluster["controlPlaneEndpoint"] == "10.107.88.9:6443"
    assert cluster["kubernetesVersion"] == "v1.36.3"
    assert cluster["networking"] == {"podSubnet": "10.244.0.0/16"}
    assert cluster["apiServer"] == {"certSANs": ["test.example.poc"]}
    assert ran_init(result) == []
    again = front.run(yes=yes)
    assert (again.failed, changed(again)) == (set(), set())
    assert "Success" not in again.log


def certificate_subject(pem):
    from cryptography import x509  # noqa: PLC0415

    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()


@pytest.mark.parametrize(
    ("system", "definition", "lines", "command"),
    [
        (
            "apt",
            "/etc/apt/sources.list.d/kubernetes.list",
            [
                "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] https://pkgs.k8s.io/core:/stable:/v1.36/deb/ /"
            ],
            "install --no-install-recommends 'kubeadm=1.36.3-*' 'kubectl=1.36.3-*' 'kubelet=1.36.3-*'",
        ),
        (
            "dnf",
            "/etc/yum.repos.d/kubernetes.repo",
            [
                "baseurl=https://pkgs.k8s.io/core:/stable:/v1.36/rpm/",
                "gpgcheck=1",
                "gpgkey=https://pkgs.k8s.io/core:/stable:/v1.36/rpm/repodata/repomd.xml.key",
                "exclude=kubelet kubeadm kubectl cri-tools kubernetes-cni",
            ],
            "--disableexcludes=kubernetes",
        ),
    ],
)
def test_tools_come_from_their_repository_and_are_kept_from_upgrades_with_the_system(
    make, system, definition, lines, command
):
    front = make(system)
    result = front.run()
    text = front.files[CP1][definition][0].splitlines()
    assert set(lines) <= set(text)
    commands = "\n".join(result.commands[CP1])
    assert command in commands
    assert ("apt-mark hold kubeadm kubectl kubelet" in commands) == (system == "apt")
    # The host fetches the key itself, by apt's own way out: the controller may have none.
    at = "https://pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key"
    assert (f"url={at}\n" in commands and "apt-helper download-file" in commands) == (system == "apt")
    said = commands.partition(command)[2].partition("\n")[0]
    assert "etcd_kubernetes_repository" in said, "what helps is said by the command that fails"


def test_tools_come_as_verified_programs_with_kubelets_service(make):
    front = make(etcd_kubernetes_install="binaries")
    result = front.run()
    assert result.failed == set()
    assert result.uploads[CP1] == [f"/opt/kubernetes/.staging/{tool}" for tool in TOOLS]
    drop_in = front.files[CP1]["/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"][0]
    assert "\nExecStart=\nExecStart=/usr/local/bin/kubelet $KUBELET" in drop_in
    assert "/etc/systemd/system/kubelet.service" in front.files[CP1]


def test_tools_that_are_there_already_are_left_alone(make):
    front = make("apk", etcd_kubernetes_install="present")
    front.tools = {name: set(TOOLS) for name in PLANES}
    result = front.run()
    assert result.failed == set()
    assert not any("install" in command for command in result.commands[CP1])


def test_kubeadm_init_is_run_only_when_asked_on_the_first_host_and_never_again(make):
    front = make(etcd_kubernetes_init=True)
    assert ran_init(front.run(mode="dry")) == []
    result = front.run()
    assert (result.failed, ran_init(result)) == (set(), [CP1])
    (command,) = [one for one in result.commands[CP1] if "kubeadm init --config" in one]
    assert '>"$log" 2>&1 </dev/null' in command, "its output holds a token"
    assert f"it said, a token among it, is in {LOG}, for root alone" in result.log
    assert re.search(r"\[@fake/cp2\] to join: `kubeadm join … --control-plane", result.log)
    assert ran_init(front.run()) == []


def test_kubeadm_judges_its_configuration_before_anything_is_made_with_it(make):
    front = make(etcd_kubernetes_init=True)
    result = front.run()
    (writes,) = [one for one in result.commands[CP1] if f"put {CONFIG} " in one]
    steps = [f"put {CONFIG} ", 'kubeadm config validate --config "$config"']
    assert sorted(steps, key=writes.index) == steps
    (inits,) = [one for one in result.commands[CP1] if "kubeadm init --config" in one]
    assert result.commands[CP1].index(writes) < result.commands[CP1].index(inits)


def test_a_pair_that_join_has_copied_is_replaced_by_one_of_the_hosts_own(make):
    front = make()
    front.run()
    one, other = (front.files[name][CERTIFICATE][0] for name in PLANES)
    assert one != other
    assert not front.run().stdin[CP1]
    first, second = PLANES
    bundle = (CERTIFICATE, CERTIFICATE.replace(".crt", ".key"))
    front.files[second] |= {path: front.files[first][path] for path in bundle}
    result = front.run()
    assert (result.refused, result.failed) == ("", set())
    assert "the pair of @fake/cp1" in result.log
    assert front.files[first][CERTIFICATE][0] == one
    assert front.files[second][CERTIFICATE][0] not in {one, other}
    again = front.run()
    assert not any(again.stdin[name] for name in PLANES)


def test_a_failed_init_fails_the_run(make):
    front = make(etcd_kubernetes_init=True)
    front.fails = True
    result = front.run()
    assert CP1 in result.failed


def test_nothing_is_installed_before_the_proof(make):
    front = make(etcd_kubernetes_init=True)
    front.deaf = front.world.cluster.members[2].client_url
    result = front.run()
    assert result.failed == set(PLANES)
    assert ran_init(result) == []
    assert CONFIG not in front.files[CP1]


@pytest.mark.parametrize("mode", ["", "dry"])
def test_no_key_is_in_a_command_or_in_what_is_printed(make, mode):
    result = make().run(debug=True, yes=False, mode=mode)
    shown = (
        result.log + result.stdout + "".join(command for told in result.commands.values() for command in told)
    )
    assert "PRIVATE KEY" not in shown
    assert ("PRIVATE KEY" in "".join(result.stdin[CP1])) == (mode == "")


def test_a_dry_run_names_the_operations_of_the_run_and_changes_nothing(make):
    front = make(etcd_kubernetes_init=True)
    dry = front.run(mode="dry")
    assert changed(dry) == set()
    assert front.run().operations == dry.operations


def test_an_etcd_that_kubeadm_refuses_is_refused_here_before_any_change(make):
    front = make(version="3.5.16")
    result = front.run()
    assert (
        "etcd: found etcd 3.5.16, which kubeadm v1.36.3 refuses (ExternalEtcdVersion), wanted 3.5.24 or later; next: "
        in result.refused
    )
    assert changed(result) == set()


@pytest.mark.parametrize(
    ("keys", "init", "found"),
    [
        (["/bootstrap/0123456789ab"], False, "found keys of k3s (/bootstrap)"),
        (
            ["/registry/namespaces/default"],
            True,
            "found keys of a Kubernetes (/registry), and none on @fake/cp1",
        ),
        (["/registry/namespaces/default"], False, ""),
    ],
)
def test_keys_of_another_kubernetes_are_not_written_over(make, keys, init, found):
    front = make(etcd_kubernetes_init=init)
    front.keys = keys
    refused = front.run().refused
    assert (found in refused) if found else not refused


@pytest.mark.parametrize(
    ("system", "data", "more", "found"),
    [
        ("apt", {"etcd_kubernetes_release": None}, [], "found no etcd_kubernetes_release"),
        ("apt", {"etcd_kubernetes_endpoint": None}, [], "found no etcd_kubernetes_endpoint"),
        ("apk", {}, [], "found Alpine Linux v3.23, wanted apt or dnf"),
        ("apk", {"etcd_kubernetes_install": "binaries"}, [], "found Alpine Linux v3.23 without systemd"),
        (
            "apt",
            {"etcd_kubernetes_install": "present"},
            [],
            "found no kubeadm, kubectl, kubelet, wanted all three",
        ),
        ("apt", {}, ["machine mips64"], "found the machine mips64"),
        (
            "apt",
            {},
            ["tool kubeadm /usr/bin/kubeadm v1.34.1"],
            "found kubeadm v1.34.1, wanted one of the line of v1.36.3",
        ),
    ],
)
def test_what_cannot_work_is_refused_for_all_hosts_at_once_and_nothing_is_changed(
    make, system, data, more, found
):
    front = make(system, **data)
    front.more = more
    result = front.run()
    told = [line for line in result.refused.splitlines() if found in line]
    assert [line.strip().partition(":")[0] for line in told] == list(PLANES)
    assert changed(result) == set()


def test_an_init_that_was_cut_off_is_not_taken_for_a_control_plane(make):
    front = make()
    front.more = ["admin yes", "log cut"]
    assert "@fake/cp1: found a `kubeadm init` that was begun and has not ended well" in front.run().refused


def test_control_planes_that_disagree_or_name_no_cluster_are_refused(make):
    front = make()
    front.hosts[CP2].data["etcd_kubernetes_release"] = "v1.35.1"
    assert "@fake/cp2: found another etcd_kubernetes_release than on @fake/cp1" in front.run().refused
    del front.hosts[CP2].data["etcd_client_of"]
    assert "@fake/cp2: found a control plane without etcd_client_of" in front.run().refused


def test_a_run_that_changes_nothing_asks_each_host_only_a_few_times(make):
    front = make()
    front.run()
    asked = {name: len(commands) for name, commands in front.run().commands.items()}
    assert [asked[name] for name in PLANES] == [6, 6]
    assert sorted(asked[name] for name in front.world.hosts) == [1, 1, 2], (
        "one member is asked for keys as well"
    )


def test_members_are_only_asked(make):
    result = make(etcd_kubernetes_init=True).run()
    assert not any(
        result.stdin[name] or result.uploads[name] for name in ("@fake/n1", "@fake/n2", "@fake/n3")
    )


def test_b14_control_planes_of_one_host_name_are_refused_before_any_change(make):
    front = make()
    front.called = {name: ["hostname ubuntu"] for name in PLANES}
    result = front.run()
    assert f"{CP2}: found the node name ubuntu, as on {CP1}, wanted a name of its own" in result.refused
    assert "`hostnamectl set-hostname NAME` on this host" in result.refused
    assert changed(result) == set()


@pytest.mark.parametrize("how", ["first", "second", "joined"])
def test_control_planes_of_one_host_name_with_node_names_of_their_own_are_none_such(make, how):
    front = make()
    front.called = {name: ["hostname ubuntu"] for name in PLANES}
    if how == "joined":
        front.called[CP2] = ["hostname ubuntu", "node-name cp-two"]
    else:
        front.hosts[CP1 if how == "first" else CP2].data["etcd_kubernetes_node_name"] = "cp-own"
    assert front.run().refused == ""


def test_a_node_name_for_the_first_one_does_not_count_for_those_that_join_by_hand(make):
    assert make(etcd_kubernetes_node_name="cp-own").run().refused == ""

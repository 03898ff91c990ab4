"""What is promised about `deploys/flannel.py`, with pyinfra's real engine over pretended hosts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward import binaries, flannel_host, flannel_proof
from etcd_steward.certificates import LeafSpec
from etcd_steward.downloads import Archive
from etcd_steward.flannel_seen import parse_look
from etcd_steward.pki import issue
from etcd_steward.settings import read_settings
from etcd_steward.verbs import flannel, status
from etcd_steward.work import subject
from tests.engine.common import HOSTS, N1, N2, N3
from tests.engine.fakes import PROBE, Result, World, run_deploy

if TYPE_CHECKING:
    from pathlib import Path

SEED = {
    "etcd_client_of": "etcd",
    "etcd_flannel_network": "172.30.0.0/16",
    "etcd_flannel_subnet_len": 21,
    "etcd_flannel_sha256": "0" * 64,
    "etcd_flannel_bin_dir": "/opt/k8s/bin",
}
CONFIG = '{"Network":"172.30.0.0/16","SubnetLen":21,"Backend":{"Type":"vxlan"}}'
KEY = "/coreos.com/network/config"
DEFINITION = {"openrc": "/etc/init.d/flanneld", "systemd": "/etc/systemd/system/flanneld.service"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# As Debian's own docker is: /usr/bin has none.
DOCKER = [
    "docker # /lib/systemd/system/docker.service",
    "docker [Service]",
    "docker ExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS",
    "program /usr/sbin/dockerd",
]


class Net:
    """A cluster whose members are hosts of a flannel network too; etcd's part of it is kept here."""

    def __init__(self, world: World, *, up: bool = False, devices: bool = True) -> None:
        self.world = world
        self.config: str | None = None
        self.revision = 0
        self.running: dict[str, bool] = {}
        self.devices = devices
        self.deaf: set[str] = set()
        self.silent: set[str] = set()
        self.more: dict[str, list[str]] = {}
        self.docker = DOCKER
        self.glued = True
        self.older: dict[str, str] = {}
        self.there: dict[str, dict[str, str]] = {}
        for host in world.hosts.values():
            host.reply = lambda command, name=host.name: self.reply(name, command)
            self.running[host.name] = up
        if up:
            self.config, self.revision = CONFIG, 9

    def settings(self, host: str) -> Any:
        return read_settings(host, self.world.hosts[host].data)[0]

    def subnet(self, host: str) -> str:
        return f"172.30.{8 * int(host[-1])}"

    def bundle(self, host: str) -> dict[str, tuple[str, str]]:
        """Give flannel's files as they lie on a host that has them: text and mode."""
        if not self.running[host]:
            return {}
        assert self.world.authorities is not None
        files = flannel_host.bundle_of(self.settings(host))
        if not self.there.get(host):
            spec = LeafSpec("client", files.common_name, subject=subject({}), days=300)
            pair = issue(self.world.authorities.client, spec, now=datetime.now(UTC) - timedelta(days=1))
            self.there[host] = {"certificate": pair.certificate_pem, "key": pair.key_pem}
        pair_of = self.there[host]
        return {
            files.ca: (self.world.authorities.client.pem, "644"),
            files.certificate: (pair_of["certificate"], "644"),
            files.key: (pair_of["key"], "600"),
        }

    def look(self, host: str) -> list[str]:
        own, init = self.settings(host), self.world.init
        address = self.world.cluster.member(host).address
        lines = ["look 1", "uid 0", "machine x86_64", f"init {init}", f"address eth0 {address}"]
        lines += [
            "address lo 127.0.0.1",
            "tool iptables",
            "sysctl net/ipv4/ip_forward 1",
            *(self.docker if own.etcd_flannel_glue == "docker" else ()),
            *self.more.get(host, ()),
        ]
        if not self.running[host]:
            return [*lines, "end"]
        assert self.world.authorities is not None
        endpoints = [one.client_url for one in self.world.cluster.members]
        docker = parse_look(["look 1", *lines[1:], "end"]).docker
        target = flannel_host.wanted(own, init, endpoints, self.world.authorities.client.pem, docker)
        for file in (*target.kernel, target.definition, *(target.glue if self.glued else ())):
            digest = hashlib.sha256(file.content.encode()).hexdigest()
            lines.append(f"file {digest} {file.mode} {file.owner} {file.path}")
        release = f"{own.etcd_flannel_dir}/{own.etcd_flannel_version}"
        lines += [f"release {own.etcd_flannel_version}", *self.service()]
        lines += [f"link {name} {release}/{name}" for name in flannel_host.PROGRAMS]
        lines += ["module br_netfilter", "module vxlan", f"started {target.started}"]
        bundle = flannel_host.bundle_of(own)
        for path, (text, mode) in self.bundle(host).items():
            digest = hashlib.sha256(text.encode()).hexdigest()
            lines.append(f"file {digest} {mode} root:root {path}")
            if path == bundle.certificate:
                lines += [f"started {digest}", *(f"pem {line}" for line in text.splitlines())]
        return [*lines, *self.env(host), "end"]

    def service(self) -> list[str]:
        if self.world.init == "openrc":
            return [
                "service Status=0",
                "service UnitFileState=enabled",
                "service FragmentPath=/etc/init.d/flanneld",
            ]
        told = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "SubState": "running",
            "UnitFileState": "enabled",
        }
        return [f"service {key}={value}" for key, value in told.items()] + ["service FragmentPath=/x"]

    def env(self, host: str) -> list[str]:
        lines = ["env FLANNEL_NETWORK=172.30.0.0/16", f"env FLANNEL_SUBNET={self.subnet(host)}.1/21"]
        return [*lines, *(["device flannel.1"] if self.devices else [])]

    def keys(self) -> str:
        values = {} if self.config is None else {KEY: self.config}
        for name, host in self.older.items():
            lease = {"PublicIP": self.world.cluster.member(host).address}
            values[f"/coreos.com/network/subnets/{name}"] = json.dumps(lease)
        for host, up in self.running.items():
            if up and host not in self.deaf:
                lease = {"PublicIP": self.world.cluster.member(host).address, "BackendType": "vxlan"}
                values[f"/coreos.com/network/subnets/{self.subnet(host)}.0-21"] = json.dumps(lease)
        kvs = [
            {"key": encoded(key), "mod_revision": self.revision, "value": encoded(value)}
            for key, value in values.items()
        ]
        return "keys " + json.dumps({"header": {}, "kvs": kvs})

    def reply(self, host: str, command: str) -> list[str] | None:  # noqa: PLR0911 - one for each question
        # A fragment that calls for another has it in front of it.
        assert ('\ntell_service "$service"\n' in command) <= ("\ntell_service() {" in command)
        if 'say "look 1"' in command:
            return self.look(host)
        if "# Reads what flannel has in etcd" in command:
            return [self.keys()]
        if "txn" in command:
            return self.write(command)
        if "# Tells which part of the network" in command:
            init = [f"init {self.world.init}", f"address eth0 {self.world.cluster.member(host).address}"]
            up = [*self.service(), *self.env(host)] if self.running[host] else []
            return [*init, *up, self.keys()]
        if "pinged" in command:
            addresses = shlex.split(
                next(line for line in command.splitlines() if line.startswith("addresses="))
            )
            wanted = addresses[0].partition("=")[2].split()
            return [f"pinged {address}" for address in wanted if address not in self.silent]
        if f"put {DEFINITION[self.world.init]} " in command:
            self.running[host] = True
        if "uname -m" in command:
            return ["x86_64"]
        if ".archive-sha256" in command and "unpack" not in command:
            return [f"{self.world.version} {'0' * 64}"]
        if "for file in" in command and "sha256sum" in command:
            return [
                f"{hashlib.sha256(text.encode()).hexdigest()} {mode} root:root {path}"
                for path, (text, mode) in self.bundle(host).items()
            ]
        if "certificates_in /" in command:
            files = self.bundle(host)
            path = command.rpartition("certificates_in ")[2].split()[0].strip("'\"")
            return [f"pem {line}" for line in files.get(path, ("", ""))[0].splitlines()]
        if "reached $endpoint" in command:
            return [f"reached {one.client_url}" for one in self.world.cluster.members]
        return []

    def write(self, command: str) -> list[str]:
        told = dict(
            line.partition("=")[::2]
            for line in command.splitlines()
            if re.match(r"(name|literal|revision)=", line)
        )
        values = {key: shlex.split(value)[0] for key, value in told.items()}
        assert values["name"] == KEY
        if int(values["revision"]) != self.revision:
            return ["put FAILURE", self.keys()]
        self.config, self.revision = json.loads(values["literal"]), self.revision + 1
        return ["put SUCCESS OK", self.keys()]

    def run(self, **options: Any) -> Result:
        return run_deploy(self.world.hosts, flannel, **options)


def sent(result: Result, word: str) -> dict[str, list[str]]:
    return {
        host: found
        for host, commands in result.commands.items()
        if (found := [command for command in commands if word in command])
    }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    archive = tmp_path / "flannel.tar.gz"
    archive.write_bytes(b"flannel")
    monkeypatch.setattr(binaries, "obtain", lambda *_args, **_more: Archive(archive, "ab" * 32))
    return World(tmp_path / "controller", **SEED)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let waiting end at once."""
    ticks = iter(range(0, 10**6, 50))

    class Clock:
        @staticmethod
        def monotonic() -> int:
            return next(ticks)

    monkeypatch.setattr(flannel_proof, "time", Clock)


@pytest.mark.parametrize("init", ["openrc", "systemd"])
def test_f45_the_configuration_is_in_etcd_before_any_flanneld_starts(
    tmp_path: Path, world: World, init: str
) -> None:
    net = Net(World(tmp_path / init, init=init, **SEED))
    before: list[str | None] = []
    ask = net.reply

    def reply(host: str, command: str) -> list[str] | None:
        if f"put {DEFINITION[init]} " in command:
            before.append(net.config)
        return ask(host, command)

    net.reply = reply  # type: ignore[method-assign]
    result = net.run()
    assert (result.refused, result.failed) == ("", set())
    assert net.config == CONFIG
    assert before == [CONFIG] * 3
    assert len([one for told in sent(result, "txn").values() for one in told]) == 1, (
        "written once, by one host"
    )


@pytest.mark.parametrize("mode", ["", "serial", "no_wait"])
def test_every_host_gets_its_files_service_and_proof_in_all_modes(
    world: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flannel_proof, "one_by_one", lambda: mode)
    result = Net(world).run(mode=mode)
    assert (result.refused, result.failed) == ("", set())
    for host in HOSTS:
        whole = "\n".join(result.commands[host])
        assert f"sha256={'ab' * 32}" in whole
        assert "modprobe" in whole
        assert "rc-update --quiet add flanneld default" in whole
        assert "rc-service --quiet flanneld start" in whole
        assert any("-etcd-prefix=/coreos.com/network" in text for text in result.stdin[host])
        assert any("PRIVATE KEY" in text for text in result.stdin[host])


def test_a_second_run_changes_nothing_and_asks_every_other_host_for_an_echo(world: World) -> None:
    result = Net(world, up=True).run()
    assert (result.refused, result.failed) == ("", set())
    assert not any(result.stdin.values())
    assert not any(result.uploads.values())
    assert sent(result, "txn") == {}
    assert "Success" not in result.log
    for host in HOSTS:
        (ping,) = sent(result, "pinged")[host]
        for other in HOSTS:
            assert (f"172.30.{8 * int(other[-1])}.0" in ping) is (other != host)


def test_a_second_run_costs_a_host_no_more_commands_than_it_did(world: World) -> None:
    result = Net(world, up=True).run()
    asked = {host: len([one for one in told if PROBE not in one]) for host, told in result.commands.items()}
    # The look; of a client: machine, release, two files; the proof; lease and echo. And one member is asked for the keys.
    assert sorted(asked.values())[:2] == [8, 8]
    assert sorted(asked.values())[2] == 9


def test_a_dry_run_writes_nothing_and_names_the_operations_of_the_run(world: World, tmp_path: Path) -> None:
    net = Net(world)
    pki = sorted((tmp_path / "controller").rglob("*"))
    planned = net.run(mode="dry")
    assert (planned.refused, planned.failed) == ("", set())
    assert (net.config, set(net.running.values())) == (None, {False})
    assert not any(planned.stdin.values())
    assert not any(planned.uploads.values())
    assert sorted((tmp_path / "controller").rglob("*")) == pki
    assert net.run().operations == planned.operations


def test_no_key_shows_in_a_command_or_in_what_is_printed(world: World) -> None:
    result = Net(world).run(debug=True)
    assert any("PRIVATE KEY" in text for text in result.stdin[N1])
    shown = result.log + result.stdout + "".join(one for told in result.commands.values() for one in told)
    assert "PRIVATE KEY" not in shown


def test_another_configuration_is_refused_unless_consented_as_leases_live_in_it(world: World) -> None:
    net = Net(world, up=True)
    net.config = CONFIG.replace("21", "24")
    refused = net.run().refused
    assert (
        "etcd: found another network configuration in /coreos.com/network/config (SubnetLen 24, wanted 21), under which 3 "
        "hosts hold a lease, wanted the same one"
    ) in refused
    assert net.config != CONFIG
    result = net.run(data={"etcd_flannel_overwrite": True})
    assert (result.refused, net.config) == ("", CONFIG)
    assert set(sent(result, "rc-service --quiet flanneld stop")) == set(HOSTS), "each has read the other one"


def test_a_configuration_that_somebody_else_writes_meanwhile_is_left_alone(world: World) -> None:
    net = Net(world)
    ask = net.reply

    def reply(host: str, command: str) -> list[str] | None:
        if "txn" in command:
            net.config, net.revision = CONFIG.replace("172", "10"), 77
        return ask(host, command)

    net.reply = reply  # type: ignore[method-assign]
    result = net.run()
    assert result.failed == set(HOSTS)
    assert net.config == CONFIG.replace("172", "10")
    assert "wanted " + CONFIG + "; next: run again, as somebody else may have written it" in result.log
    assert sent(result, f"put {DEFINITION['openrc']} ") == {}, "no flanneld starts"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"etcd_flannel_version": "0.10.0"}, "speaks etcd's API v2 alone"),
        ({"etcd_flannel_network": "198.18.0.0/16"}, "@fake/n1: found its own address 198.18.99.11 inside flannel's network"),
        ({"etcd_flannel_network": "172.30.0.0/30"}, "wanted one of /28 or wider"),
        (
            {"etcd_flannel_subnet_min": "172.30.8.0", "etcd_flannel_subnet_max": "172.30.16.0"},
            "etcd: found 3 hosts, and room for 2 in 172.30.0.0/16",
        ),
        ({"etcd_flannel_iface": "wlan7"}, "@fake/n2: found interfaces eth0 198.18.99.12, wanted etcd_flannel_iface wlan7"),
        ({"etcd_flannel_sha256": None}, "@fake/n3: found no SHA-256 of flannel-v0.28.10-linux-amd64.tar.gz"),
        ({"etcd_flannel_glue": "docker"}, "found etcd_flannel_glue = 'docker' with openrc, wanted systemd"),
    ],
)  # fmt: skip
def test_f45_bad_input_is_refused_in_a_sentence_before_any_host_is_changed(
    world: World, data: dict[str, Any], sentence: str
) -> None:
    net = Net(world)
    for host in world.hosts.values():
        host.data.update(data)
    result = net.run()
    assert sentence in result.refused
    assert result.refused.startswith("refused, no host was changed:")
    assert not any(result.stdin.values())
    assert not any(result.uploads.values())


def test_hosts_that_disagree_about_the_network_are_refused(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other", ("w1",), net="198.18.98").hosts["@fake/w1"]
    other.groups, other.data = ("workers",), {**other.data, **SEED, "etcd_flannel_vni": 7}
    del other.data["etcd_address"]
    result = run_deploy({**Net(world).world.hosts, other.name: other}, flannel)
    assert (
        "@fake/w1: found etcd_flannel_vni = 7, wanted None as on @fake/n1; next: set etcd_flannel_vni once"
        in result.refused
    )


def test_a_cluster_without_a_quorum_is_refused_as_the_key_could_not_be_written(world: World) -> None:
    for host in HOSTS:
        world.show(host, "unhealthy")
    refused = Net(world).run().refused
    assert (
        "etcd: found no answer about flannel's keys (no quorum of its members answers), wanted a cluster"
        in refused
    )


def test_a_host_without_a_network_is_left_alone(world: World) -> None:
    net = Net(world)
    for host in world.hosts.values():
        host.data["etcd_flannel_network"] = None
    assert not any(net.run().commands.values())


def test_a_host_that_gets_no_lease_fails_with_the_last_words_of_its_flanneld(
    world: World, hurried: None
) -> None:
    net = Net(world)
    net.deaf = {N2}
    ask = net.reply
    net.reply = lambda host, command: (  # type: ignore[method-assign]
        ["E1121 failed to retrieve network config: Key not found"]
        if "/var/log/messages | tail -n 50" in command
        else ask(host, command)
    )
    result = net.run()
    assert N2 in result.failed
    assert (
        "found no lease of this host in /coreos.com/network/subnets after 90 s (flanneld started, 172.30.16.0/21 in"
        in result.log
    )
    assert "flanneld's last words: E1121 failed to retrieve network config" in result.log
    assert "found no lease of @fake/n2 in /coreos.com/network/subnets" in result.log


def test_a_lease_of_a_flanneld_that_does_not_come_up_is_no_proof(tmp_path: Path, hurried: None) -> None:
    net = Net(World(tmp_path, init="systemd", **SEED), up=True)
    ask = net.reply
    net.reply = lambda host, command: [  # type: ignore[method-assign]
        line.replace("ActiveState=active", "ActiveState=activating") for line in ask(host, command) or []
    ]
    result = net.run()
    assert result.failed == set(HOSTS)
    assert "(flanneld activating (running), 172.30.8.0/21 in subnet.env" in result.log


def test_a_host_that_does_not_answer_over_flannel_fails_and_is_named(world: World, hurried: None) -> None:
    net = Net(world, up=True)
    net.silent = {"172.30.24.0"}
    result = net.run()
    assert result.failed == {N1, N2}
    assert (
        "found no echo from 172.30.24.0 (@fake/n3) over flannel, wanted one from each; next: open UDP 8472"
        in result.log
    )


def test_a_lease_of_an_earlier_configuration_is_neither_asked_for_an_echo_nor_shown(world: World) -> None:
    net = Net(world, up=True)
    net.older = {"172.29.8.0-21": N1, "172.30.1.0-24": N2}
    result = net.run()
    assert result.failed == set()
    for command in sent(result, "pinged")[N3]:
        assert "addresses='172.30.8.0 172.30.16.0'" in command
    told = json.loads(run_deploy(world.hosts, status, data={"etcd_output": "json"}).stdout)["flannel"][
        "hosts"
    ]
    assert [one["lease"] for one in told] == ["172.30.8.0/21", "172.30.16.0/21", "172.30.24.0/21"]


def test_a_host_without_ping_fails_and_is_told_what_to_install(world: World) -> None:
    net = Net(world, up=True)
    ask = net.reply
    net.reply = lambda host, command: (  # type: ignore[method-assign]
        ["no ping"] if "pinged" in command and host == N3 else ask(host, command)
    )
    result = net.run()
    assert result.failed == {N3}
    assert "found no ping, wanted it, to ask the other hosts for an echo; next: install it" in result.log


def test_without_a_device_the_echo_is_skipped_and_the_reason_is_printed(world: World) -> None:
    result = Net(world, up=True, devices=False).run()
    assert result.failed == set()
    assert sent(result, "pinged") == {}
    assert result.log.count("skipped: no device flannel.1 on this host") == 3


def test_a_closed_firewall_is_told_and_opened_only_where_that_is_asked_for(world: World) -> None:
    net = Net(world)
    net.more = {N1: ["firewall firewalld no"], N2: ["firewall ufw no"], N3: ["firewall ufw yes"]}
    result = net.run()
    assert (
        "@fake/n1: found firewalld active, without a rule for UDP 8472, wanted that port open" in result.log
    )
    assert "@fake/n2: found ufw active" in result.log
    assert "@fake/n3: found ufw" not in result.log
    assert sent(result, "--add-port=") == sent(result, "ufw allow") == {}
    net = Net(world)
    net.more = {N1: ["firewall firewalld no"], N2: ["firewall ufw no"], N3: ["firewall ufw yes"]}
    result = net.run(data={"etcd_flannel_open_port": True})
    assert set(sent(result, "firewall-cmd --quiet --permanent --add-port=8472/udp")) == {N1}
    assert set(sent(result, "ufw allow 8472/udp")) == {N2}


@pytest.mark.parametrize(
    "change",
    [{"etcd_flannel_version": "0.28.8"}, {"etcd_flannel_ip_masq": False}, {"etcd_flannel_iface": "eth0"}],
    ids=str,
)
def test_a_flanneld_that_runs_with_something_else_is_started_anew(
    world: World, change: dict[str, Any]
) -> None:
    net = Net(world, up=True)
    shown = {host: net.look(host) for host in HOSTS}
    net.look = lambda host: shown[host]  # type: ignore[method-assign]
    for host in world.hosts.values():
        host.data.update(change)
    result = net.run()
    assert result.failed == set()
    assert set(sent(result, "rc-service --quiet flanneld stop; } 9>&-")) == set(HOSTS)
    assert set(sent(result, f"put {DEFINITION['openrc']} 755")) == set(HOSTS)


def test_a_process_that_was_started_before_its_files_changed_is_started_anew(world: World) -> None:
    net = Net(world, up=True)
    # The first line is the digest of definition and authority, the second of the certificate.
    shown = {}
    for host in HOSTS:
        told = net.look(host)
        places = [place for place, line in enumerate(told) if line.startswith("started ")]
        told[places[host == N3]] = "started 0"
        shown[host] = told
    net.look = lambda host: shown[host]  # type: ignore[method-assign]
    result = net.run()
    assert set(sent(result, "rc-service --quiet flanneld start")) == set(HOSTS)


def test_a_flanneld_whose_certificate_is_made_anew_is_started_anew_as_it_reads_it_only_at_its_start(
    world: World,
) -> None:
    net = Net(world, up=True)
    files = flannel_host.bundle_of(net.settings(N2))
    assert world.authorities is not None
    spec = LeafSpec("client", files.common_name, subject=subject({}), days=5)
    pair = issue(world.authorities.client, spec, now=datetime.now(UTC))
    net.there[N2] = {"certificate": pair.certificate_pem, "key": pair.key_pem}
    result = net.run()
    assert result.failed == set()
    assert set(sent(result, "rc-service --quiet flanneld start")) == {N2}


def test_the_glue_of_the_runtime_is_written_where_it_is_asked_for(tmp_path: Path, world: World) -> None:
    for glue, path in (("cni", flannel_host.CONFLIST), ("docker", flannel_host.DOCKER_DROP_IN)):
        net = Net(World(tmp_path / glue, init="systemd", **SEED, etcd_flannel_glue=glue))
        result = net.run()
        assert (result.refused, result.failed) == ("", set())
        assert set(sent(result, f"put {path} 644")) == set(HOSTS)
        assert ("docker takes flannel's options when it is started next" in result.log) is (glue == "docker")
        again = Net(
            World(tmp_path / f"{glue}-again", init="systemd", **SEED, etcd_flannel_glue=glue), up=True
        ).run()
        assert not any(again.stdin.values())


@pytest.mark.usefixtures("world")
def test_dockers_own_command_is_kept_in_the_drop_in(tmp_path: Path) -> None:
    result = Net(World(tmp_path, init="systemd", **SEED, etcd_flannel_glue="docker")).run()
    written = "".join(map(str, result.stdin[N1]))
    assert "\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS $DOCKER_NETWORK_OPTIONS\n" in written


@pytest.mark.usefixtures("world")
def test_a_docker_that_comes_later_gets_its_drop_in_from_the_next_run(tmp_path: Path) -> None:
    net = Net(World(tmp_path, init="systemd", **SEED, etcd_flannel_glue="docker"))
    net.docker = []
    first = net.run()
    assert (first.refused, first.failed) == ("", set())
    assert sent(first, f"put {flannel_host.DOCKER_DROP_IN}") == {}
    assert "found no docker.service" in first.log
    net.docker, net.glued = DOCKER, False
    assert set(sent(net.run(), f"put {flannel_host.DOCKER_DROP_IN}")) == set(HOSTS)


@pytest.mark.parametrize(
    ("setting", "unit", "found"),
    [
        ("/usr/bin/dockerd -H fd://", DOCKER, "found no /usr/bin/dockerd"),
        (None, DOCKER[:3], "found no /usr/sbin/dockerd"),
        (None, [DOCKER[0], "docker [Service]"], "found no ExecStart in docker.service"),
    ],
)
def test_a_command_whose_program_is_not_there_is_refused(
    tmp_path: Path, setting: str | None, unit: list[str], found: str
) -> None:
    more = {"etcd_flannel_dockerd": setting} if setting else {}
    net = Net(World(tmp_path, init="systemd", **SEED, etcd_flannel_glue="docker", **more))
    net.docker = unit
    result = net.run()
    assert found in result.refused
    assert not any(result.stdin.values())


def test_what_somebody_else_wrote_is_kept_before_it_is_replaced(world: World) -> None:
    net = Net(world)
    theirs = (DEFINITION["openrc"], flannel_host.MODULES_FILE)
    net.more = {
        N1: [f"file {'0' * 64} 644 root:root {path}" for path in theirs]
        + [f"unmarked {path}" for path in theirs]
    }
    result = net.run()
    assert result.failed == set()
    kept = sent(result, "/etc/etcd-steward/before")
    assert set(kept) == {N1}
    assert [
        f"strangers={path}\n" in command for path, command in zip(reversed(theirs), kept[N1], strict=True)
    ] == [True, True]


def test_a_host_outside_the_limit_is_looked_at_and_left_alone(world: World) -> None:
    result = Net(world).run(limit=[N1])
    assert (result.refused, result.failed) == ("", set())
    assert result.stdin[N2] == result.stdin[N3] == []
    assert result.stdin[N1]


def test_status_shows_the_lease_of_every_host_and_a_missing_one_is_a_note(world: World) -> None:
    net = Net(world, up=True)
    net.deaf = {N2}
    result = run_deploy(world.hosts, status)
    assert (result.refused, result.failed) == ("", set())
    assert "flannel 172.30.0.0/16 in /coreos.com/network" in result.stdout
    table = {line.split()[0]: line.split()[1:3] for line in result.stdout.splitlines() if "172.30." in line}
    assert table["n1"] == ["172.30.8.0/21", "198.18.99.11"]
    assert table["n3"] == ["172.30.24.0/21", "198.18.99.13"]
    assert (
        "note: @fake/n2: found no lease of flannel, wanted one; next: run deploys/flannel.py" in result.stdout
    )


def test_status_tells_the_leases_in_its_json_too(world: World) -> None:
    Net(world, up=True)
    told = json.loads(run_deploy(world.hosts, status, data={"etcd_output": "json"}).stdout)
    assert told["flannel"]["configured"] is True
    assert [(one["host"], one["lease"], one["device"]) for one in told["flannel"]["hosts"]] == [
        (host, f"172.30.{8 * int(host[-1])}.0/21", True) for host in HOSTS
    ]


def test_status_asks_nothing_and_tells_nothing_of_flannel_where_the_settings_have_none(world: World) -> None:
    Net(world, up=True)
    for host in world.hosts.values():
        host.data["etcd_flannel_network"] = None
    result = run_deploy(world.hosts, status, data={"etcd_output": "json"})
    assert "flannel" not in json.loads(result.stdout)
    assert all(PROBE in command for told in result.commands.values() for command in told)


def test_status_of_hosts_that_have_nothing_of_flannel_yet_says_so(world: World) -> None:
    Net(world)
    result = run_deploy(world.hosts, status)
    assert result.failed == set()
    assert (
        "note: flannel: found no /coreos.com/network/config, wanted it; next: run deploys/flannel.py"
        in result.stdout
    )
    assert result.stdout.count("found no lease of flannel") == 3


JSON = "/etc/docker/daemon.json"


def docker_hosts(folder: Path, *, up: bool = False, **more: object) -> Net:
    return Net(World(folder, init="systemd", **SEED, etcd_flannel_glue="docker", **more), up=up)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("key", ["bip", "mtu", "ip-masq", "hosts"])
def test_b21_what_docker_would_be_told_twice_is_refused_before_any_change_in_dockers_own_words(
    tmp_path: Path, key: str, up: bool
) -> None:
    net = docker_hosts(tmp_path, up=up)
    net.more = {N2: [f"beside file {JSON}", f"beside key {key} {JSON}", f"beside key data-root {JSON}"]}
    result = net.run()
    (line,) = [one for one in result.refused.splitlines() if "found" in one]
    assert line.startswith(f"    {N2}: found {key} in {JSON}, wanted it only among docker's flags")
    assert "'specified both as a flag and in the configuration file'" in line
    assert f"next: take it out of {JSON}" in line
    assert not any(result.stdin.values())


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("key", ["fixed-cidr", "bridge"])
def test_what_contradicts_flannels_part_is_refused_too(tmp_path: Path, key: str) -> None:
    net = docker_hosts(tmp_path)
    net.more = {N2: [f"beside file {JSON}", f"beside key {key} {JSON}"]}
    result = net.run()
    assert (
        f"{N2}: found {key} in {JSON}, wanted a docker0 that has flannel's part as a whole" in result.refused
    )
    assert not any(result.stdin.values())


@pytest.mark.usefixtures("world")
def test_other_keys_and_those_of_flags_that_are_not_given_are_no_obstacle(tmp_path: Path) -> None:
    net = docker_hosts(tmp_path, etcd_flannel_dockerd="/usr/sbin/dockerd --data-root=/x")
    keys = ("log-driver", "hosts", "insecure-registries")
    net.more = {
        host: [f"beside file {JSON}", *(f"beside key {key} {JSON}" for key in keys)] for host in HOSTS
    }
    result = net.run()
    assert (result.refused, result.failed) == ("", set())
    net.more[N1].append(f"beside key data-root {JSON}")
    assert f"{N1}: found data-root in {JSON}" in net.run().refused


@pytest.mark.usefixtures("world")
def test_a_configuration_of_docker_that_is_no_json_is_told(tmp_path: Path) -> None:
    net = docker_hosts(tmp_path)
    net.more = {N1: [f"beside file {JSON}", f"beside unread {JSON}"]}
    result = net.run()
    assert (result.refused, result.failed) == ("", set())
    assert (
        f"{N1}: found {JSON}, which is no JSON, wanted JSON, as docker does not start with it" in result.log
    )


def test_without_the_glue_nothing_of_dockers_is_anybodys_business(world: World) -> None:
    net = Net(world)
    net.more = {N1: [f"beside file {JSON}", f"beside key bip {JSON}"]}
    assert net.run().refused == ""


@pytest.mark.usefixtures("world")
def test_b20_a_list_of_networks_that_comes_before_ours_is_told(tmp_path: Path) -> None:
    net = Net(World(tmp_path, init="systemd", **SEED, etcd_flannel_glue="cni"))
    folder = "/etc/cni/net.d"
    names = ("10-containerd-net.conflist", "10-flannel.conflist", "100-crio-bridge.conf", "99-loopback.conf")
    net.more = {N2: [f"cni {folder}/{name}" for name in names]}
    result = net.run()
    assert (result.refused, result.failed) == ("", set())
    (line,) = [one for one in result.log.splitlines() if "conflist before" in one]
    assert (
        f"{N2}: found {folder}/10-containerd-net.conflist before {folder}/10-flannel.conflist, wanted" in line
    )
    assert f"`mv {folder}/10-containerd-net.conflist {folder}/10-containerd-net.conflist.off`" in line


def test_what_would_end_forwarding_at_the_next_boot_is_told(world: World) -> None:
    net = Net(world)
    file = "/etc/sysctl.d/99-hardened.conf"
    net.more = {
        N2: [f"boot net/ipv4/ip_forward 0 {file}"],
        N1: [f"boot net/ipv4/ip_forward 1 {file}", "boot x "],
    }
    result = net.run()
    assert (result.refused, result.failed) == ("", set())
    (line,) = [one for one in result.log.splitlines() if file in one]
    assert (
        f"{N2}: found net.ipv4.ip_forward = 0 in {file}, which is read after /etc/sysctl.d/90-flannel.conf"
        in line
    )
    assert f"next: take it out of {file}" in line


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("198.18.99.200/24", "198.18.99.12/24"), "of which flannel takes 198.18.99.200"),
        (("198.18.99.200/32 deprecated", "198.18.99.12/24"), "such as 198.18.99.12"),
        (("198.18.99.12/24", "198.18.99.200/24 secondary"), ""),
        (("169.254.7.7/16", "198.18.99.12/24", "198.18.99.200/32"), ""),
    ],
)
def test_flannel_is_given_no_interface_of_which_it_takes_an_address_that_moves(
    world: World, told: tuple[str, ...], said: str
) -> None:
    net = Net(world)
    own = net.look

    def look(host: str) -> list[str]:
        lines = own(host)
        at = next(number for number, line in enumerate(lines) if line.startswith("address eth0 "))
        if host == "@fake/n2":
            lines[at : at + 1] = [f"address eth0 {one}" for one in told]
        return lines

    net.look = look  # type: ignore[method-assign]
    for host in world.hosts.values():
        host.data["etcd_flannel_iface"] = "eth0"
    result = net.run()
    assert said in result.refused
    assert bool(result.refused) == bool(said)
    if said:
        assert "@fake/n2: found several addresses on eth0" in result.refused
        assert not any(result.stdin.values())

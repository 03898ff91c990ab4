"""What is promised to hosts that are clients of a cluster."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import LeafSpec, bundle, read_certificate
from etcd_steward.pki import issue
from etcd_steward.rotation import next_folder
from etcd_steward.verbs import clients, rotate_ca
from etcd_steward.work import subject
from tests.engine.fakes import FakeHost, Result, World, run_deploy
from tests.engine.living import Living, value

if TYPE_CHECKING:
    from pathlib import Path

APP = "@fake/app"
FOLDER = "/etc/etcd-client"
CA, CERTIFICATE, KEY = (f"{FOLDER}/{name}" for name in ("ca.pem", "client.pem", "client-key.pem"))


class App:
    """A host beside the members, with files of its own."""

    def __init__(self, world: World, **data: object) -> None:
        self.world = world
        self.files: dict[str, tuple[str, str, str]] = {}
        self.deaf: tuple[str, ...] = ()
        self.host = FakeHost(
            APP,
            {
                "etcd_client_of": "etcd",
                "etcd_pki_dir": str(world.pki),
                "fake_delay": 0,
                "fake_delay_jitter": 0,
                **data,
            },
            reply=self.reply,
            groups=("apps",),
        )
        self.hosts = {**world.hosts, APP: self.host}

    def give(self, days: int = 300, ca: str | None = None, mode: str = "600", name: str = "app") -> None:
        """Put a right bundle there."""
        authorities = self.world.authorities
        assert authorities is not None
        spec = LeafSpec("client", name, subject=subject({}), days=days)
        pair = issue(authorities.client, spec, now=datetime.now(UTC) - timedelta(days=1))
        self.files = {
            CA: (ca or authorities.client.pem, "644", "root:root"),
            CERTIFICATE: (pair.certificate_pem, "644", "root:root"),
            KEY: (pair.key_pem, mode, "root:root"),
        }

    def reply(self, command: str) -> list[str] | None:  # noqa: PLR0911 - one for each question
        if "uname -m" in command:
            return ["x86_64"]
        if ".archive-sha256" in command:
            return [f"{self.world.version} {'0' * 64}"]
        if command.find("for file in") >= 0 and "sha256sum" in command:
            return [
                f"{hashlib.sha256(text.encode()).hexdigest()} {mode} {owner} {path}"
                for path, (text, mode, owner) in self.files.items()
            ]
        if "Tells the certificates in some files of a client" in command:
            asked = value(command, "files").split()
            pems = [(path, self.files[path][0]) for path in asked if path in self.files]
            return [*(f"pem {path} {line}" for path, pem in pems for line in pem.splitlines()), "end"]
        if "certificates_in /" in command:
            return [f"pem {line}" for line in self.files.get(CERTIFICATE, ("", "", ""))[0].splitlines()]
        if "reached $endpoint" in command:
            urls = [one.client_url for one in self.world.cluster.members]
            return [
                f"down {url} dial tcp: connection refused" if url in self.deaf else f"reached {url}"
                for url in urls
            ]
        return []

    def rotate(self, **options: object) -> Result:
        return run_deploy(self.hosts, rotate_ca, data={"etcd_clients_ready": True}, **options)  # type: ignore[arg-type]

    def run(self, **options: object) -> Result:
        return run_deploy(self.hosts, clients, **options)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def written(result: Result) -> str:
    (told,) = result.stdin[APP]
    return told


def test_a_client_gets_its_three_files_and_they_are_proved_against_every_endpoint(world: World) -> None:
    app = App(world)
    result = app.run()
    assert (result.refused, result.failed) == ("", set())
    told = written(result)
    assert world.authorities is not None
    assert told.startswith(world.authorities.client.pem)
    leaf = read_certificate(told[told.index("# key-sha256") :])
    assert leaf is not None
    assert leaf.certificate.subject.rfc4514_string() == "CN=app"
    assert leaf.issued_by([world.authorities.client]) is not None
    (asked,) = [command for command in result.commands[APP] if "reached $endpoint" in command]
    for word in (CA, CERTIFICATE, KEY, *(one.client_url for one in world.cluster.members)):
        assert word in asked
    assert not any(result.stdin[host] for host in world.hosts)


def test_nothing_of_a_key_is_in_a_command_or_in_what_is_printed(world: World) -> None:
    result = App(world).run(debug=True)
    secret = [line for line in written(result).splitlines() if "PRIVATE KEY" in line]
    assert secret, "the key travels over standard input"
    for text in (result.log, result.stdout, *result.commands[APP]):
        assert "PRIVATE KEY" not in text


def test_a_client_that_has_what_it_needs_keeps_it(world: World) -> None:
    app = App(world)
    app.give()
    result = app.run()
    assert (result.failed, result.stdin[APP]) == (set(), [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"days": 30}, "renewal window 60"),
        ({"name": "other"}, "other"),
        ({"mode": "644"}, "key: found 644 root:root, wanted 600 root:root"),
    ],
)
def test_a_client_certificate_is_made_anew_only_when_it_differs_or_is_near_its_end(
    world: World, given: dict[str, object], reason: str
) -> None:
    app = App(world)
    app.give(**given)  # type: ignore[arg-type]
    result = app.run()
    assert result.failed == set()
    assert "PRIVATE KEY" in written(result)
    assert reason in result.log


def test_an_authority_alone_is_put_right_without_a_new_key(world: World) -> None:
    app = App(world)
    app.give(ca="something else\n")
    told = written(app.run())
    assert world.authorities is not None
    assert told == world.authorities.client.pem


def test_an_endpoint_that_is_not_reached_fails_the_client_and_is_named(world: World) -> None:
    app = App(world)
    app.deaf = (world.cluster.members[1].client_url,)
    result = app.run()
    assert result.failed == {APP}
    assert f"({app.deaf[0]}: dial tcp: connection refused), wanted all; next: " in result.log


def test_a_dry_run_makes_no_key_and_shows_the_operations_of_the_run(world: World) -> None:
    app = App(world)
    planned = app.run(mode="dry")
    assert planned.stdin[APP] == []
    assert app.run().operations == planned.operations


def test_a_client_of_nobody_is_left_alone_and_one_of_an_unknown_cluster_is_refused(world: World) -> None:
    assert App(world, etcd_client_of=None).run().commands[APP] == []
    refused = App(world, etcd_client_of="elsewhere").run().refused
    assert (
        "@fake/app: found etcd_client_of = 'elsewhere', wanted a cluster of the inventory (etcd); next: "
        in refused
    )


def test_a_cluster_that_is_not_made_yet_has_no_clients(tmp_path: Path) -> None:
    result = App(World(tmp_path, formed=False)).run()
    assert result.failed == {APP}
    assert "no member of etcd that carries its authorities" in result.log
    assert "next: run deploys/etcd.py" in result.log
    assert not (tmp_path / "pki").exists()


def test_a_controller_without_the_authority_keeps_what_is_right_and_makes_nothing(world: World) -> None:
    app = App(world)
    app.give()
    (world.pki / "etcd").rename(world.pki / "kept")
    assert app.run().failed == set()
    app.give(days=30)
    result = app.run()
    assert result.failed == {APP}
    assert "but no authority in" in result.log


def let_both_be_trusted(world: World, coming: Authorities) -> None:
    """Let every member carry the next authorities behind the present ones."""
    assert world.authorities is not None
    both = [(world.authorities.client, coming.client), (world.authorities.peer, coming.peer)]
    for host in world.hosts.values():
        member = world.cluster.member(host.name)
        for kind, (_, new) in zip(("ca", "peer_ca"), both, strict=True):
            path = member.settings.certificate_path(kind, member.name)
            last = max(index for index, line in enumerate(host.lines) if line.startswith(f"pem {path} "))
            host.lines[last + 1 : last + 1] = [f"pem {path} {line}" for line in new.pem.splitlines()]


def test_f16_while_a_rotation_is_under_way_clients_trust_both_and_show_the_next_one(world: World) -> None:
    app = App(world)
    app.give()
    coming = Store(next_folder(world.cluster)).create(subject({}), 3650, datetime.now(UTC), "etcd, next")
    assert app.run().stdin[APP] == [], "the members do not trust it yet"
    let_both_be_trusted(world, coming)
    told = written(app.run())
    assert world.authorities is not None
    authorities, _, rest = told.partition("-----BEGIN PRIVATE KEY-----")
    assert [one.fingerprint for one in bundle(authorities)] == [
        world.authorities.client.fingerprint,
        coming.client.fingerprint,
    ]
    leaf = read_certificate(rest[rest.index("# key-sha256") :])
    assert leaf is not None
    assert leaf.issued_by([coming.client]) is not None


def test_a_client_is_refused_calmly_while_the_next_authority_has_no_key_here(world: World) -> None:
    app = App(world)
    app.give()
    folder = next_folder(world.cluster)
    let_both_be_trusted(world, Store(folder).create(subject({}), 3650, datetime.now(UTC), "etcd, next"))
    for name in ("ca-key.pem", "peer-ca-key.pem"):
        (folder / name).unlink()
    result = app.run()
    assert result.failed == {APP}
    assert "but the next authorities are here without their keys, wanted the keys" in result.log


@pytest.mark.parametrize("given", [True, False], ids=["its files of before", "no files yet"])
def test_a_rotation_waits_for_a_client_of_the_inventory_whatever_is_said_of_the_clients(
    world: World, given: bool
) -> None:
    app = App(world)
    if given:
        app.give()
    living = Living(world)
    result = app.rotate()
    assert sorted(living.happened("start")) == sorted(world.hosts), "all trust both, and nothing follows"
    assert not any("Reissue on" in name for name in result.operations)
    assert (
        "found clients of the inventory that do not trust the next authority (@fake/app: /etc/etcd-client/ca.pem), "
        "wanted all of them ready for `reissue`; next: run deploys/clients.py, "
    ) in result.log
    assert result.failed == set(world.hosts)


def test_a_rotation_does_not_end_while_a_client_of_the_inventory_is_out_of_reach(world: World) -> None:
    app = App(world)
    app.host.reachable = False
    Living(world)
    names = app.rotate(mode="dry").operations
    assert any("Reissue on" in name for name in names)
    assert not any("Trust the new one on" in name for name in names)


def test_a_rotation_passes_a_client_that_trusts_and_shows_the_next_authority(world: World) -> None:
    app = App(world)
    old, coming = (
        world.authorities,
        Store(next_folder(world.cluster)).create(subject({}), 3650, datetime.now(UTC), "etcd, next"),
    )
    assert old is not None
    app.give(ca=old.client.pem + coming.client.pem)
    assert not any("Trust the new one on" in name for name in app.rotate(mode="dry").operations)
    spec = LeafSpec("client", "app", subject=subject({}), days=300)
    app.files[CERTIFICATE] = (
        issue(coming.client, spec, now=datetime.now(UTC)).certificate_pem,
        "644",
        "root:root",
    )
    assert any("Trust the new one on" in name for name in app.rotate(mode="dry").operations)


@pytest.mark.parametrize(
    ("data", "groups", "path", "verb"),
    [
        ({}, ("k3s_servers",), "/etc/rancher/k3s/etcd/ca.crt", "k3s.py"),
        ({}, ("control_planes",), "/etc/kubernetes/pki/etcd/ca.crt", "kubernetes.py"),
        ({"etcd_flannel_network": "10.244.0.0/16"}, ("apps",), "/etc/flanneld/cert/ca.pem", "flannel.py"),
    ],
)
def test_a_rotation_looks_at_the_files_that_other_verbs_give_a_client(
    world: World, data: dict[str, object], groups: tuple[str, ...], path: str, verb: str
) -> None:
    app = App(world, **data)
    app.host.groups = groups
    Living(world)
    result = app.rotate()
    assert f"(@fake/app: {path})" in result.log
    assert f"next: run deploys/{verb}" in result.log


def test_a_client_that_uses_the_files_of_the_member_on_its_host_comes_along(tmp_path: Path) -> None:
    world = World(tmp_path, etcd_client_of="etcd", etcd_client_dir="/etc/etcd/pki")
    planned = run_deploy(world.hosts, rotate_ca, mode="dry", data={"etcd_clients_ready": True})
    assert planned.refused == ""
    assert any("Trust the new one on" in name for name in planned.operations)

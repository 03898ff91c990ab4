"""What is promised about certificates that have ended, and about those that the operator brings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import Subject
from etcd_steward.pki import issue
from etcd_steward.rotation import PHASES
from etcd_steward.verbs import etcd, renew, rotate_ca
from etcd_steward.work import ROLES, leaf_spec
from tests.engine.fakes import World, run_deploy
from tests.engine.living import AWAIT, OTHERS, SHOWN, START, STOP, Living, value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=1000)


def commands(result: object) -> list[str]:
    return [command for given in result.commands.values() for command in given]  # type: ignore[attr-defined]


def ended(world: World, *hosts: str, condition: str = "unhealthy") -> None:
    for host in hosts:
        world.show(host, condition, now=LONG_AGO)


@pytest.mark.parametrize("mode", ["", "serial", "no_wait"])
def test_another_release_than_the_settings_name_fails_converging_and_no_work_on_certificates(
    tmp_path: Path, mode: str
) -> None:
    """After an upgrade by `--data etcd_version` the inventory may still name the old release."""
    world = World(tmp_path)
    for host in HOSTS:
        world.show(host, "converged", version="3.5.30")
    living = Living(world)
    assert run_deploy(living.hosts, etcd, mode=mode).failed == set(HOSTS)
    renewed = run_deploy(living.hosts, renew, mode=mode)
    assert (renewed.refused, renewed.failed, renewed.only_looked) == ("", set(), True)


def test_another_release_than_the_settings_name_does_not_fail_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb = import_module("etcd_steward.verbs.rotate_ca")
    world = World(tmp_path)
    for host in HOSTS:
        world.show(host, "converged", version="3.5.30")
    with monkeypatch.context() as patched:
        patched.setattr(verb, "phases_left", lambda _cluster, _hosts: [])
        result = run_deploy(world.hosts, rotate_ca)
    assert (result.refused, result.failed) == ("", set()), "nothing was left to rotate"
    found = SimpleNamespace(name="etcd", once=lambda _what, make: make())
    assert all(verb._pass(found, phase).scope.any_release for phase in PHASES)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, now=LONG_AGO)


def test_f15_converging_leads_to_renewing_where_all_certificates_have_ended(world: World) -> None:
    ended(world, *HOSTS)
    result = run_deploy(world.hosts, etcd)
    assert "whose certificates have ended (@fake/n1, @fake/n2, @fake/n3)" in result.refused
    assert "next: run deploys/renew.py" in result.refused
    assert not any(result.stdin.values())


def test_f15_a_member_that_does_not_run_is_started_by_converging_and_not_by_renewing(world: World) -> None:
    ended(world, *HOSTS[:2])
    ended(world, HOSTS[2], condition="stopped")
    assert "next: run deploys/etcd.py, which starts the members" in run_deploy(world.hosts, renew).refused


def unheard_until_all_are_written(
    living: Living, reply: Callable[[str], list[str] | None], command: str
) -> list[str] | None:
    if len(living.happened("write")) < len(HOSTS) and AWAIT in command:
        return ["waiting x509: certificate has expired"]
    if len(living.happened("write")) < len(HOSTS) and OTHERS in command:
        return [f"down {url} x509: certificate has expired" for url in value(command, "endpoints").split()]
    return reply(command)


def test_f15_new_certificates_reach_all_members_before_any_is_awaited_and_nobody_is_restarted(
    world: World,
) -> None:
    ended(world, *HOSTS)
    living = Living(world)
    world.now = NOW  # whoever is looked at after a write has new certificates
    for host in world.hosts.values():
        host.reply = partial(unheard_until_all_are_written, living, host.reply)
    result = run_deploy(world.hosts, renew, data={"etcd_timeout": 5})
    assert result.failed == set()
    assert living.happened("write") == list(HOSTS)
    assert not any(START in command or STOP in command for command in commands(result))
    shown = [host for host, given in result.commands.items() for command in given if SHOWN in command]
    assert sorted(shown) == list(HOSTS), "each is proved by a handshake"


def test_a_member_that_shows_another_certificate_fails_the_run_and_no_other_is_touched(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    living = Living(world)
    reply = world.hosts["@fake/n2"].reply

    def stuck(command: str) -> list[str] | None:
        if SHOWN not in command:
            return reply(command)
        other = 'x509: certificate signed by unknown authority"'
        return [f"shown {value(command, 'endpoint')} {other}", f"shown {value(command, 'peer_endpoint')} EOF"]

    world.hosts["@fake/n2"].reply = stuck
    result = run_deploy(world.hosts, renew, data={"etcd_renew_all": True})
    assert "found n2 showing another certificate than /etc/etcd/pki/server.pem" in result.log
    assert "x509: certificate signed by unknown authority" in result.log
    assert living.happened("write") == ["@fake/n2"], "followers come first"


@pytest.mark.parametrize("verb", [etcd, renew, rotate_ca])
def test_an_authority_that_has_ended_itself_is_told_calmly_and_leads_to_no_verb_that_refuses_too(
    tmp_path: Path, verb: Callable[[], None]
) -> None:
    world = World(tmp_path, now=NOW - timedelta(days=5000))
    for host in HOSTS:
        world.show(host, "unhealthy")
    Living(world)
    result = run_deploy(world.hosts, verb, data={"etcd_ca_lost": True})
    assert "found authorities that have ended (CN=etcd client CA of etcd on 20" in result.refused
    assert "docs/troubleshooting.md" in result.refused
    assert "deploys/" not in result.refused
    assert result.only_looked


def own(folder: Path) -> tuple[Authorities, dict[str, str]]:
    return Store(folder).create(Subject(), 3650, LONG_AGO), settings_of(folder)


def settings_of(folder: Path) -> dict[str, str]:
    kinds = {"etcd_ca_cert": "ca", "etcd_ca_key": "ca-key", "etcd_peer_ca_cert": "peer-ca"}
    kinds["etcd_peer_ca_key"] = "peer-ca-key"
    return {key: str(folder / f"{kind}.pem") for key, kind in kinds.items()}


def test_stopped_members_whose_authorities_have_ended_start_with_others_of_the_operators_and_their_data(
    tmp_path: Path,
) -> None:
    new = Store(tmp_path / "own").create(Subject(), 3650, NOW)
    world = World(tmp_path, now=NOW - timedelta(days=5000))
    for host, one in world.hosts.items():
        world.show(host, "stopped")
        gone = ("pem ", "file ")
        one.lines = [line for line in one.lines if not (line.startswith(gone) and "/etc/etcd/pki/" in line)]
        one.data |= settings_of(tmp_path / "own")
    living = Living(world)
    world.authorities, world.now = new, NOW  # so it looks after the start
    result = run_deploy(world.hosts, etcd, data={"etcd_timeout": 5})
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("start")) == list(HOSTS)
    assert living.happened("aside") == []
    for host in HOSTS:
        assert new.client.pem in "".join(result.stdin[host])


def test_another_authority_of_the_operators_is_brought_by_rotating_and_not_by_converging(
    tmp_path: Path,
) -> None:
    _, settings = own(tmp_path / "own")
    world = World(tmp_path, **settings)
    result = run_deploy(world.hosts, etcd)
    assert result.failed == set(HOSTS)
    assert "found members that carry another authority" in result.log
    assert "run deploys/rotate_ca.py with etcd_ca_cert and etcd_peer_ca_cert set to it" in result.log
    assert not any(result.stdin.values()), "nothing was changed"


@pytest.mark.parametrize("mode", ["serial", "no_wait"])
def test_a_rotation_reaches_all_members_in_each_phase_or_begins_none(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = f"--{mode.replace('_', '-')}"
    monkeypatch.setattr("etcd_steward.cli_mode.one_by_one", lambda: option)
    world = World(tmp_path)
    result = run_deploy(world.hosts, rotate_ca, mode=mode)
    assert f"found {option}, wanted all members" in result.refused
    assert "run without it" in result.refused
    assert not (world.pki / "etcd" / "next").exists()


def test_a_rotation_under_a_limit_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert "found --limit or --exclude" in run_deploy(world.hosts, rotate_ca, limit=[HOSTS[0]]).refused


def test_a_dry_rotation_makes_nothing_and_shows_the_operations_of_the_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    ready = {"etcd_clients_ready": True}
    planned = run_deploy(world.hosts, rotate_ca, mode="dry", data=ready)
    assert planned.refused == ""
    assert not (world.pki / "etcd" / "next").exists()
    Living(world)
    assert run_deploy(world.hosts, rotate_ca, data=ready).operations == planned.operations


def test_what_speaks_against_a_rotation_is_told_before_any_operation_begins(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.hosts[HOSTS[2]].reachable = False
    Living(world)
    result = run_deploy(world.hosts, rotate_ca)
    assert "@fake/n3: found no answer" in result.refused
    assert "Starting operation" not in result.log
    assert result.only_looked


def test_a_rotation_whose_next_keys_are_away_touches_no_host_and_one_whose_keys_are_lost_makes_others(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    waiting = world.pki / "etcd" / "next"
    Store(waiting).create(Subject(), 3650, NOW, "next")
    for name in ("ca-key.pem", "peer-ca-key.pem"):
        (waiting / name).unlink()
    living = Living(world)
    result = run_deploy(world.hosts, rotate_ca, data={"etcd_clients_ready": True})
    assert f"found the next authorities in {waiting} without their keys" in result.refused
    assert living.events == []
    assert result.only_looked
    lost = run_deploy(world.hosts, rotate_ca, data={"etcd_ca_lost": True})
    assert "clients that may not trust the next authority yet" in lost.log
    assert sorted(living.happened("start")) == list(HOSTS)
    assert (waiting / "ca-key.pem").exists()
    assert len(list((world.pki / "etcd").glob("next-*"))) == 1


def bring(folder: Path, world: World, authorities: Authorities, days: int = 300) -> None:
    """Put ready-made pairs for all members into a folder."""
    for member in world.cluster.members:
        place = folder / member.name
        place.mkdir(parents=True, exist_ok=True)
        for role in ROLES:
            spec = leaf_spec(member, role)
            pair = issue(authorities.for_role(role), spec, now=NOW - timedelta(days=spec.days - days))
            (place / f"{role}.pem").write_text(pair.certificate_pem)
            (place / f"{role}-key.pem").write_text(pair.key_pem)


@pytest.fixture
def ready_made(tmp_path: Path) -> World:
    return World(tmp_path, now=LONG_AGO, etcd_certificates_dir=str(tmp_path / "ready"))


def test_new_ready_made_files_are_delivered_by_renewing_without_a_restart(
    tmp_path: Path, ready_made: World
) -> None:
    assert ready_made.authorities is not None
    bring(tmp_path / "ready", ready_made, ready_made.authorities)
    for host in HOSTS:
        ready_made.show(host, "converged", now=NOW - timedelta(days=700))
    Living(ready_made)
    result = run_deploy(ready_made.hosts, renew)
    assert result.refused == ""
    for name in ("n1", "n2", "n3"):
        sent = "".join(result.stdin[f"@fake/{name}"])
        for role in ROLES:
            assert (tmp_path / "ready" / name / f"{role}.pem").read_text().splitlines()[1] in sent
    assert not any(START in command or STOP in command for command in commands(result))


def test_ready_made_files_that_would_cut_a_member_off_are_refused(tmp_path: Path, ready_made: World) -> None:
    stranger, _ = own(tmp_path / "stranger")
    bring(tmp_path / "ready", ready_made, stranger)
    refused = run_deploy(ready_made.hosts, renew).refused
    assert "server.pem, not signed by an authority that counts now" in refused
    assert "for pairs of a new authority: run deploys/rotate_ca.py" in refused
    assert ready_made.authorities is not None
    bring(tmp_path / "ready", ready_made, ready_made.authorities, days=-2)
    assert "peer.pem, expired on " in run_deploy(ready_made.hosts, renew).refused


@pytest.mark.parametrize("condition", ["stopped", "unhealthy", "converged"])
@pytest.mark.parametrize("certificates", ["authorities alone lost", "all lost"])
@pytest.mark.parametrize("verb", [etcd, renew])
def test_data_without_an_authority_anywhere_is_refused_before_any_host_is_changed(
    tmp_path: Path, condition: str, certificates: str, verb: Callable[[], None]
) -> None:
    """A host that was made anew with its old data, and a controller that never had the folder."""
    world = World(tmp_path)
    for path in (world.pki / "etcd").glob("*ca*"):
        path.rename(tmp_path / path.name)
    for host in HOSTS:
        world.show(host, condition)
        folder = world.cluster.member(host).settings.etcd_cert_dir
        lost = ("pem ",) if certificates == "authorities alone lost" else ("pem ", "file ")
        world.hosts[host].lines = [
            line for line in world.hosts[host].lines if not (line.startswith(lost) and f"{folder}/" in line)
        ]
    result = run_deploy(Living(world).hosts, verb)
    assert "no authority on any host" in result.refused
    assert "etcd_ca_cert" in result.refused
    assert result.only_looked


def test_a_rotation_gives_turns_as_every_verb_does_the_leader_last(tmp_path: Path) -> None:
    living = Living(World(tmp_path))
    run_deploy(living.hosts, rotate_ca, data={"etcd_clients_ready": True})
    assert living.happened("stop")[:3] == [HOSTS[1], HOSTS[2], HOSTS[0]]


def test_a_rotation_that_a_wrong_clock_began_is_finished_with_other_authorities(tmp_path: Path) -> None:
    world = World(tmp_path)
    waiting = world.pki / "etcd" / "next"
    early = Store(waiting).create(Subject(), 3650, NOW + timedelta(days=400), "next").client.pem
    living = Living(world)
    result = run_deploy(world.hosts, rotate_ca, data={"etcd_clients_ready": True})
    assert "holds authorities that are not valid yet" in result.log
    assert living.happened("write"), "it went on to the hosts"
    (aside,) = (world.pki / "etcd").glob("next-*")
    assert (aside / "ca.pem").read_text() == early
    assert early not in "".join(text for given in result.stdin.values() for text in given)


def test_a_rotation_whose_clock_differs_from_a_hosts_makes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    host = world.hosts[HOSTS[1]]
    host.lines = [
        f"now {int(line.split()[1]) - 400 * 86400}" if line.startswith("now ") else line
        for line in host.lines
    ]
    result = run_deploy(world.hosts, rotate_ca, data={"etcd_clients_ready": True})
    assert "@fake/n2: found a clock" in result.refused
    assert result.only_looked
    assert not (world.pki / "etcd" / "next").exists()

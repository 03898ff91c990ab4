"""The phases of a rotation, read from what the hosts carry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import Role, Subject
from etcd_steward.credentials import Credentials
from etcd_steward.observed import HostState
from etcd_steward.pki import issue
from etcd_steward.rotation import (
    adopt_next,
    just_made,
    next_folder,
    phases_left,
    reasons_against_rotation,
    rotated,
)
from etcd_steward.work import ROLES, leaf_spec
from tests.engine.fakes import World

NOW = datetime.now(UTC)


def next_of(world: World) -> Authorities:
    return Store(next_folder(world.cluster)).create(Subject(), 3650, NOW, "next")


def carrying(world: World, host: str, texts: tuple[str, str], issuer: Authorities) -> HostState:
    """Pretend that a host carries these authorities, and certificates by that issuer."""
    member = world.cluster.member(host)
    path = member.settings.certificate_path
    found = {path("ca", member.name): texts[0], path("peer_ca", member.name): texts[1]}
    for role in ROLES:
        kind: Role = role
        found[path(kind, member.name)] = issue(
            issuer.for_role(kind), leaf_spec(member, kind), now=NOW
        ).certificate_pem
    return replace(world.sight().hosts[host], certificates=found)


def phases(world: World, *states: HostState) -> list[str]:
    hosts = dict(world.sight().hosts)
    hosts.update({state.host: state for state in states})
    return list(phases_left(world.cluster, hosts))


def test_without_a_next_authority_all_phases_are_left(tmp_path: Path) -> None:
    assert phases(World(tmp_path)) == ["trust both", "reissue", "trust the new one"]


def test_every_phase_is_read_from_the_hosts(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, new = world.authorities, next_of(world)
    assert old is not None
    both = (old.client.pem + new.client.pem, old.peer.pem + new.peer.pem)
    alone = (new.client.pem, new.peer.pem)
    names = list(world.hosts)
    assert phases(world) == ["trust both", "reissue", "trust the new one"]
    trusting = [carrying(world, name, both, old) for name in names]
    assert phases(world, *trusting[:2]) == ["trust both", "reissue", "trust the new one"], "one host is left"
    assert phases(world, *trusting) == ["reissue", "trust the new one"]
    reissued = [carrying(world, name, both, new) for name in names]
    assert phases(world, *trusting[:1], *reissued[1:]) == ["reissue", "trust the new one"], "one host is left"
    assert phases(world, *reissued) == ["trust the new one"]
    done = [carrying(world, name, alone, new) for name in names]
    assert phases(world, *reissued[:1], *done[1:]) == ["trust the new one"], "one host is left"
    assert phases(world, *done) == []


def test_both_are_trusted_before_the_new_one_signs_and_it_alone_counts_afterwards(tmp_path: Path) -> None:
    world = World(tmp_path)
    new = next_of(world)
    credentials: Credentials = world.sight().credentials
    both = rotated(credentials, "trust both")
    assert both.texts is not None
    assert new.client.pem in both.texts[0]
    assert (credentials.texts or ("", ""))[0] in both.texts[0]
    assert both.here == credentials.here
    reissue = rotated(credentials, "reissue")
    assert reissue.texts == both.texts
    assert reissue.trusted()["server"] == [reissue.here.client] if reissue.here else False
    assert rotated(credentials, "trust the new one").texts == (new.client.pem, new.peer.pem)


def test_another_controller_begins_no_rotation_unless_the_key_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    elsewhere = replace(world.sight().credentials, here=None, problem="no authority in pki")
    told = reasons_against_rotation(elsewhere, ["trust both"])
    assert "etcd_ca_lost=true" in str(told[0])


def test_a_rotation_that_has_just_ended_is_not_begun_anew(tmp_path: Path) -> None:
    credentials = World(tmp_path, now=NOW).sight().credentials
    assert just_made(credentials, NOW)
    assert not just_made(credentials, NOW + timedelta(days=3))


def test_the_old_authorities_are_moved_aside_and_never_deleted(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, new = world.authorities, next_of(world)
    assert old is not None
    adopt_next(world.cluster, new)
    folder = next_folder(world.cluster).parent
    present = Store(folder).load()
    assert present is not None
    assert present.client.fingerprint == new.client.fingerprint
    aside = Store(folder / f"before-{new.client.fingerprint[:16]}").load()
    assert aside is not None
    assert aside.peer.fingerprint == old.peer.fingerprint

"""The phases of a rotation, read from what the hosts carry."""

from __future__ import annotations

import hashlib
import shutil
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import Role, Subject, bundle
from etcd_steward.credentials import Credentials
from etcd_steward.job import Scope, make_job
from etcd_steward.next_authorities import adopt_next, just_rotated, make_next, next_made
from etcd_steward.observed import HostState
from etcd_steward.pki import issue
from etcd_steward.rotation import (
    PHASES,
    allowed,
    next_folder,
    phases_left,
    reasons_against_rotation,
    rotated,
    trust_both_file,
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
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()
    state = world.sight().hosts[host]
    return replace(state, certificates=found, started={**state.started, "authorities": digest})


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


def test_f16_both_are_trusted_before_the_new_one_signs_and_it_alone_counts_afterwards(tmp_path: Path) -> None:
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


def test_a_rotation_that_has_just_ended_is_not_begun_anew_but_a_young_cluster_may_have_its_first(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, now=NOW)
    assert just_rotated(world.sight().credentials, NOW) is None, "it was made today, and never rotated"
    new = next_of(world)
    adopt_next(world.cluster, new)
    credentials = replace(world.sight().credentials, here=new)
    assert just_rotated(credentials, NOW) == next_folder(world.cluster).with_name(
        f"before-{new.client.fingerprint[:16]}"
    )
    assert just_rotated(credentials, NOW + timedelta(days=3)) is None


def test_clients_are_waited_for_before_each_phase_that_they_have_to_be_ready_for() -> None:
    assert allowed(list(PHASES), ready=False) == ["trust both"]
    assert allowed(list(PHASES), ready="trust") == ["trust both", "reissue"]
    assert allowed(list(PHASES), ready=True) == list(PHASES)
    assert allowed(["trust the new one"], ready="trust") == []


def test_f16_a_bundle_that_no_process_has_read_yet_does_not_count(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, new = world.authorities, next_of(world)
    assert old is not None
    both = (old.client.pem + new.client.pem, old.peer.pem + new.peer.pem)
    alone = (new.client.pem, new.peer.pem)
    first, *others = list(world.hosts)
    trusting = [carrying(world, name, both, old) for name in others]
    written = replace(carrying(world, first, both, old), started={"authorities": "of its last start"})
    assert phases(world, written, *trusting)[0] == "trust both"
    stopped = carrying(world, first, both, old)
    stopped = replace(stopped, service=replace(stopped.service, running=False))
    assert phases(world, stopped, *trusting)[0] == "trust both"
    done = [carrying(world, name, alone, new) for name in others]
    last = replace(carrying(world, first, alone, new), started={"authorities": "of its last start"})
    assert phases(world, last, *done) == ["trust the new one"]


def test_a_rotation_that_was_cut_off_while_it_was_adopted_is_adopted_by_the_next(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, new = world.authorities, next_of(world)
    assert old is not None
    folder, waiting = next_folder(world.cluster).parent, next_folder(world.cluster)
    aside = folder / f"before-{new.client.fingerprint[:16]}"
    aside.mkdir()
    (folder / "ca.pem").rename(aside / "ca.pem")
    (folder / "ca-key.pem").rename(aside / "ca-key.pem")
    (folder / "ca.pem").write_text((waiting / "ca.pem").read_text())
    adopt_next(world.cluster, new)
    present, before = Store(folder).load(), Store(aside).load()
    assert present is not None
    assert before is not None
    assert (present.client.fingerprint, present.peer.fingerprint) == (
        new.client.fingerprint,
        new.peer.fingerprint,
    )
    assert (before.client.fingerprint, before.peer.fingerprint) == (
        old.client.fingerprint,
        old.peer.fingerprint,
    )
    assert not waiting.exists()


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


def own_authorities(folder: Path) -> dict[str, str]:
    """Make an operator's own authorities, and give the settings that name them."""
    Store(folder).create(Subject(), 3650, NOW)
    names = {"etcd_ca_cert": "ca", "etcd_ca_key": "ca-key", "etcd_peer_ca_cert": "peer-ca"}
    names["etcd_peer_ca_key"] = "peer-ca-key"
    return {key: str(folder / f"{name}.pem") for key, name in names.items()}


def test_an_operators_own_authorities_are_what_a_rotation_leads_to(tmp_path: Path) -> None:
    world = World(tmp_path, **own_authorities(tmp_path / "own"))
    own, old = Store(tmp_path / "own").load(), world.authorities
    assert own is not None
    assert old is not None
    credentials = world.sight().credentials
    assert phases(world) == list(PHASES)
    assert reasons_against_rotation(credentials, list(PHASES)) == []
    both = rotated(credentials, "trust both").texts
    assert both == (old.client.pem + own.client.pem, old.peer.pem + own.peer.pem)
    reissue = rotated(credentials, "reissue")
    assert reissue.here is not None
    assert reissue.here.client.fingerprint == own.client.fingerprint
    assert reissue.here.client.can_sign
    alone = (own.client.pem, own.peer.pem)
    assert phases(world, *(carrying(world, name, alone, own) for name in world.hosts)) == []


def test_an_operators_own_authorities_need_their_keys_or_ready_made_files(tmp_path: Path) -> None:
    own = own_authorities(tmp_path / "own")
    keyless = {key: value for key, value in own.items() if not key.endswith("_key")}
    world = World(tmp_path / "keyless", **keyless)
    told = reasons_against_rotation(world.sight().credentials, list(PHASES))
    assert "set etcd_ca_key and etcd_peer_ca_key, or bring ready-made files" in str(told[0])
    ready = World(tmp_path / "ready", **keyless, etcd_certificates_dir=str(tmp_path / "files"))
    assert reasons_against_rotation(ready.sight().credentials, list(PHASES)) == []
    alone = World(tmp_path / "alone", etcd_certificates_dir=str(tmp_path / "files"))
    told = reasons_against_rotation(alone.sight().credentials, list(PHASES))
    assert "set etcd_ca_cert and etcd_peer_ca_cert to them; their keys are not needed" in str(told[0])


def test_where_they_stay_when_every_member_has_an_operators_own_authorities(tmp_path: Path) -> None:
    world = World(tmp_path, **own_authorities(tmp_path / "own"))
    own, waiting = Store(tmp_path / "own").load(), next_folder(world.cluster)
    assert own is not None
    never_adopted = next_of(world)
    adopt_next(world.cluster, own)
    present = Store(waiting.parent).load()
    assert present is not None
    assert world.authorities is not None
    assert present.client.fingerprint == world.authorities.client.fingerprint
    (aside,) = waiting.parent.glob("next-*")
    kept = Store(aside).load()
    assert kept is not None
    assert kept.client.fingerprint == never_adopted.client.fingerprint, "no key is lost"


def test_the_phases_around_the_reissue_bring_no_certificate(tmp_path: Path) -> None:
    world = World(tmp_path, now=NOW - timedelta(days=720), **own_authorities(tmp_path / "own"))
    sight = world.sight()
    certificates = {
        phase: {
            len(one.certificates) for one in make_job(sight, sight.decide(), NOW, scope=scope).works.values()
        }
        for phase in PHASES
        for scope in [Scope(phase=phase, certificates_only=phase == "reissue")]
    }
    assert certificates == {"trust both": {0}, "reissue": {4}, "trust the new one": {0}}


def test_keys_that_a_controller_gets_by_a_rotation_are_hidden_from_git_and_from_other_accounts(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    assert world.authorities is not None
    shutil.rmtree(world.pki)
    make_next(world.cluster, world.authorities.client.pem, NOW)
    new = Store(next_folder(world.cluster)).load()
    assert new is not None
    adopt_next(world.cluster, new)
    folder = world.pki / "etcd"
    assert (folder / "ca-key.pem").exists()
    for one in (world.pki, folder):
        assert (one / ".gitignore").read_text() == "*\n"
        assert stat.S_IMODE(one.stat().st_mode) == 0o700


def test_a_rotation_that_began_without_hiding_the_folder_hides_it_before_keys_lie_there(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    new, folder = next_of(world), world.pki / "etcd"
    (folder / ".gitignore").unlink()
    adopt_next(world.cluster, new)
    assert (folder / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("left_by", ["a rotation to another authority", "a run that was killed"])
def test_a_bundle_that_lacks_the_coming_authority_is_made_again(tmp_path: Path, left_by: str) -> None:
    world = World(tmp_path, **own_authorities(tmp_path / "own"))
    old, own, other = world.authorities, Store(tmp_path / "own").load(), next_of(world)
    assert old is not None
    assert own is not None
    file = trust_both_file(world.cluster)
    file.write_text(old.client.pem + other.client.pem if "another" in left_by else "")
    assert not next_made(world.cluster)
    make_next(world.cluster, old.client.pem, NOW)
    assert [one.fingerprint for one in bundle(file.read_text())] == [
        old.client.fingerprint,
        own.client.fingerprint,
    ]
    assert next_made(world.cluster)


def test_a_bundle_appears_under_its_name_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    assert world.authorities is not None

    def killed(path: Path, _text: str) -> None:
        path.touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            make_next(world.cluster, world.authorities.client.pem, NOW)
    assert not trust_both_file(world.cluster).exists()
    make_next(world.cluster, world.authorities.client.pem, NOW)
    assert next_made(world.cluster)


def keyless_next(world: World, *names: str) -> Authorities:
    """Make the next authorities, and lose keys of theirs."""
    new = next_of(world)
    for name in names or ("ca-key.pem", "peer-ca-key.pem"):
        (next_folder(world.cluster) / name).unlink()
    return new


def test_keys_of_the_next_authorities_are_asked_for_before_anything_while_there_is_something_to_sign(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    keyless_next(world)
    credentials = world.sight().credentials
    (told,) = reasons_against_rotation(credentials, list(PHASES))
    assert "without their keys" in told.found
    assert "bring ca-key.pem and peer-ca-key.pem back" in told.next
    assert reasons_against_rotation(credentials, ["trust the new one"]) == [], "nothing is signed any more"


@pytest.mark.parametrize("lost", [("ca-key.pem", "peer-ca-key.pem"), ("peer-ca-key.pem",)])
def test_next_authorities_whose_keys_are_lost_are_put_aside_for_others_and_stay_trusted(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    world = World(tmp_path, etcd_ca_lost=True)
    old, without = world.authorities, keyless_next(world, *lost)
    assert old is not None
    assert phases(world) == list(PHASES)
    assert reasons_against_rotation(world.sight().credentials, list(PHASES)) == []
    make_next(world.cluster, old.client.pem + without.client.pem, NOW)
    other = Store(next_folder(world.cluster)).load()
    assert other is not None
    assert other.client.can_sign
    assert [one.fingerprint for one in bundle(trust_both_file(world.cluster).read_text())] == [
        one.client.fingerprint for one in (old, without, other)
    ]
    (aside,) = (world.pki / "etcd").glob("next-*")
    assert (aside / "ca.pem").read_text() == without.client.pem

"""A snapshot without a manifest is believed by the hash that etcd appends, and by nothing less."""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.bolt import BoltError, bucket, last_key
from etcd_steward.drilling import choose_trial
from etcd_steward.restoration import _unfit
from etcd_steward.sealed import is_whole, self_proved
from etcd_steward.snapshots import Manifest, Restored, differences
from tests.engine.fakes import World
from tests.unit.test_restoring import HOSTS, Run, configured, lost

SNAPSHOT = gzip.decompress((Path(__file__).parents[1] / "data/snapshot-3.5.30.db.gz").read_bytes())


def whole(content: bytes) -> bool:
    return is_whole(io.BytesIO(content), len(content))


def sealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def test_a_real_snapshot_proves_itself():
    assert whole(SNAPSHOT)
    assert not whole(SNAPSHOT[:-32]), "a copied database has no hash"


@given(st.integers(0, len(SNAPSHOT) - 1), st.integers(1, 255))
def test_whatever_byte_is_changed_is_noticed(at, other):
    changed = bytearray(SNAPSHOT)
    changed[at] ^= other
    assert not whole(bytes(changed))


@given(st.integers(0, 4), st.binary(min_size=512, max_size=512), st.integers(0, 600))
def test_whole_is_what_has_its_own_hash_behind_whole_sectors(sectors, content, cut):
    good = sealed(content * sectors)
    assert whole(good)
    assert whole(good[: len(good) - cut]) == (cut == 0)
    assert not whole(good + b"\0" * (cut + 1))


def test_what_it_says_of_itself_is_what_the_database_holds(tmp_path):
    path = tmp_path / "from-elsewhere.db"
    path.write_bytes(SNAPSHOT)
    found = self_proved(path, "ab" * 32)
    assert found is not None
    newest = max(bucket(io.BytesIO(SNAPSHOT), b"key"))
    assert last_key(io.BytesIO(SNAPSHOT), b"key") == newest
    assert last_key(io.BytesIO(SNAPSHOT), b"no such bucket") is None
    assert (found.revision, found.version) == (int.from_bytes(newest[:8], "big"), "3.5.0")
    assert (found.keys, found.hash, found.compact_revision) == (None, None, None)
    # A restore keeps it in its record, and an interrupted one reads it there.
    assert Manifest.read(found.line) == found
    wrong, untold = differences(found, Restored("3.5.30", found.revision, 150, 1, 1))
    assert (wrong, bool(untold)) == ([], True)
    wrong, _ = differences(found, Restored("3.5.30", found.revision - 1, 150, 1, 1))
    assert wrong


@given(st.binary(max_size=200))
def test_a_sealed_file_that_is_no_database_is_no_snapshot(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("sealed") / "odd.db"
    path.write_bytes(sealed(content + b"\0" * (-len(content) % 512)))
    assert self_proved(path, "") is None
    with pytest.raises(BoltError):
        last_key(io.BytesIO(content), b"key")


@pytest.mark.parametrize("place", ["path", "name in the backup folder"])
def test_a_copy_without_a_manifest_is_tried_and_one_that_proves_nothing_is_refused(world, tmp_path, place):
    folder = tmp_path / "backups/etcd"
    folder.mkdir(parents=True)
    path = folder / "copy.db"
    wanted = str(path) if place == "path" else "copy.db"
    sight = configured(lost(world), etcd_backup_dir=str(tmp_path / "backups"), etcd_snapshot=wanted)
    path.write_bytes(SNAPSHOT)
    trial, complaints = choose_trial(Run(), sight, set(HOSTS), bare=True)
    assert not complaints
    assert (trial.here, trial.path, trial.manifest.keys) == (True, str(path), None)
    assert trial.manifest.sha256 == hashlib.sha256(SNAPSHOT).hexdigest()
    path.write_bytes(SNAPSHOT[:-32])
    _, (complaint,) = choose_trial(Run(), sight, set(HOSTS), bare=True)
    assert "without a manifest" in str(complaint)
    # A manifest that is there and cannot be read is not the same as none.
    path.write_bytes(SNAPSHOT)
    path.with_suffix(".json").write_text("{")
    sight = configured(sight, etcd_snapshot=str(path))
    _, (complaint,) = choose_trial(Run(), sight, set(HOSTS), bare=True)
    assert "no manifest" in str(complaint)


def test_a_release_that_nobody_knows_is_left_to_the_trial(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(SNAPSHOT)
    manifest = self_proved(path, "")
    assert manifest is not None
    unknown = Manifest.read(manifest.line.replace('"3.5.0"', '"unknown"'))
    assert _unfit(None, unknown) == []

"""What is promised about `--dry`: it names the operations of the run, and creates nothing anywhere."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from etcd_steward import gating, releases, verbs
from etcd_steward.versions import DEFAULT
from tests.engine.fakes import PROBE, World, run_deploy
from tests.engine.living import Living

HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
SLOWER = {"etcd_config": {"heartbeat-interval": 200, "election-timeout": 2000}}
CONTENT = b"a snapshot"
MANIFEST = (
    '{"written by":"etcd-steward","file":"etcd-n2-r7.db","sha256":"%s","size":1,"revision":7,"keys":1,"hash":1,'
    '"compact_revision":-1,"cluster":"etcd","cluster_id":"%s","member":"n2","version":"3.5.33",'
    '"time":"2026-01-01T00:00:00Z","seconds":1767225600,"origin":"backup"}'
)

# Each verb with something to do: what the settings say, and how the hosts are.
DUE = {
    "etcd": ({**SLOWER, "etcd_snapshot_hours": 2}, {}),
    "upgrade": ({}, {"version": f"{DEFAULT.minor_line}.0"}),
    "renew": ({"etcd_renew_all": True}, {}),
    "rotate_ca": ({"etcd_clients_ready": True}, {}),
    "backup": ({}, {}),
    "drill": ({}, {}),
    "maintain": ({}, {"alarms": ("NOSPACE",)}),
    "remove": ({"etcd_member": "n3"}, {}),
    "reset": ({"etcd_reset": "its id"}, {}),
    "restore": ({"etcd_restore_over": "its id"}, {}),
}
# Verbs for hosts beside the members, which have tests of their own, tests/engine/test_<verb>.py.
BESIDE = {"clients", "flannel", "k3s", "kubernetes", "static_pods"}
# What a look may ask besides the probe: each only reads.
LOOKS = ("*.json; do [ -f", "sed -n 's/^initial-cluster")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Make a converged cluster of authorities that are old enough to be rotated; runs begin in an empty folder."""
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(archive, "0" * 64))
    # Pretended members answer at once or never.
    monkeypatch.setattr(gating, "_PATIENCE", 0)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return World(tmp_path / "controller", now=datetime.now(UTC) - timedelta(days=10))


def due(world, verb):
    """Let a verb have something to do; give the settings that it is run with."""
    data, condition = DUE[verb]
    for host in world.hosts:
        world.show(host, "converged", **condition)
    living = Living(world)
    manifest = MANIFEST % ("0" * 64, world.record.id)
    living._answer = lambda host, command, ask=living._answer: (
        [manifest, "end"] if LOOKS[0] in command else ask(host, command)
    )
    return {key: world.record.id if value == "its id" else value for key, value in data.items()}


def everything_below(folder):
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in folder.rglob("*")}


def test_every_verb_is_tried_here():
    assert {*DUE, *BESIDE, "status"} == set(verbs.__all__), "give a new verb something to do in DUE"


@pytest.mark.parametrize("verb", DUE)
def test_a_dry_run_creates_nothing_on_the_hosts_and_nothing_on_the_controller(world, tmp_path, verb):
    data = due(world, verb)
    before = everything_below(tmp_path)
    result = run_deploy(world.hosts, getattr(verbs, verb), mode="dry", data=data)
    assert (result.refused, result.failed) == ("", set())
    for command in (command for commands in result.commands.values() for command in commands):
        assert PROBE in command or any(look in command for look in LOOKS)
    assert not any(result.stdin.values())
    assert not any(result.uploads.values())
    assert everything_below(tmp_path) == before
    assert "Success" not in result.log


@pytest.mark.parametrize(
    ("verb", "limit"),
    [
        *((verb, None) for verb in DUE),
        # The others refuse a limit that leaves out who is needed, dry or not.
        *(
            (verb, [HOSTS[1]])
            for verb in DUE
            if verb not in {"maintain", "remove", "reset", "restore", "rotate_ca"}
        ),
    ],
)
def test_a_dry_run_names_the_operations_of_the_run_in_their_order(world, verb, limit):
    data = due(world, verb)
    dry = run_deploy(world.hosts, getattr(verbs, verb), mode="dry", data=data, limit=limit)
    run = run_deploy(world.hosts, getattr(verbs, verb), data=data, limit=limit)
    assert dry.refused == ""
    assert run.operations == dry.operations
    assert len(run.operations) == len(set(run.operations)) >= 1


@pytest.mark.parametrize("verb", DUE)
def test_a_dry_run_says_what_would_change_and_on_whom(world, verb):
    data = due(world, verb)
    dry = run_deploy(world.hosts, getattr(verbs, verb), mode="dry", data=data)
    told = [
        (operation.operation_meta.will_change, host.name)
        for host, operations in dry.state.ops.items()
        for operation in operations.values()
    ]
    assert any(changes for changes, _ in told)
    assert {host for _, host in told} == set(HOSTS)


def test_names_are_sentences_without_anything_that_differs_from_run_to_run(world):
    for verb in DUE:
        data = due(world, verb)
        for name in run_deploy(world.hosts, getattr(verbs, verb), mode="dry", data=data).operations:
            assert re.fullmatch(rf"{verb} \| [A-Z0-9][A-Za-z0-9().`: ]+", name), name


def test_a_host_that_gets_its_data_by_a_restore_gets_a_schedule_too(world):
    data = due(world, "restore")
    world.hosts[HOSTS[2]].lines = [line for line in world.hosts[HOSTS[2]].lines if "schedule " not in line]
    dry = run_deploy(world.hosts, verbs.restore, mode="dry", data=data)
    assert dry.refused == ""
    changing = {
        host.name
        for host, operations in dry.state.ops.items()
        for number, operation in operations.items()
        if dry.state.op_meta[number].names == {"restore | Schedule snapshots"}
        and operation.operation_meta.will_change
    }
    assert changing == {HOSTS[2]}


def test_a_drill_removes_what_an_interrupted_one_has_left_on_any_host(world):
    data = due(world, "drill")
    left = "/var/lib/etcd-snapshots/.drill.aB3dE6"
    for number, host in enumerate(HOSTS):
        since = 0 if number else int(time.time())  # one may be at work
        world.hosts[host].lines.insert(1, f"left {since} {left}")
    result = run_deploy(world.hosts, verbs.drill, data=data)
    removed = {
        host
        for host, commands in result.commands.items()
        if any(f"abandoned={left}\n" in one for one in commands)
    }
    tried = {
        host
        for host, commands in result.commands.items()
        if any("Restores a snapshot into" in one for one in commands)
    }
    assert removed == {*HOSTS[1:]} - tried


@pytest.mark.parametrize("verb", ["etcd", "upgrade", "status"])
def test_what_is_known_against_the_running_release_is_told_and_fails_nothing(world, verb):
    for host in world.hosts:
        world.show(host, "converged", version="3.6.8")
    result = run_deploy(world.hosts, getattr(verbs, verb), mode="run" if verb == "status" else "dry")
    told = result.stdout if verb == "status" else result.log
    assert (result.refused, result.failed) == ("", set())
    assert "etcd 3.6.8: " in told
    assert "(CVE-2026-33413)" in told

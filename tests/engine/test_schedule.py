"""What is promised about scheduled snapshots in `deploys/etcd.py`, with pyinfra's engine over pretended hosts."""

import pytest

from etcd_steward import releases
from etcd_steward.leaving import left_behind
from etcd_steward.operations.leaving import stop_and_move_aside
from etcd_steward.schedule import job_path, schedule
from etcd_steward.verbs import etcd, status
from tests.engine.fakes import PROBE, World, run_deploy
from tests.engine.living import WRITE, Living

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
JOB = job_path("etcd")
CROND = "rc-service --quiet crond start"
TIMER = "systemctl enable --quiet etcd-snapshot.timer"


@pytest.fixture(params=["openrc", "systemd"])
def world(tmp_path, request):
    return World(tmp_path, init=request.param)


def without(lines, *words):
    return [line for line in lines if not any(word in line for word in words)]


def unscheduled(world, host):
    """Let a host be as one that was converged before there were schedules."""
    world.hosts[host].lines = without(world.hosts[host].lines, "schedule ", "-snapshot")


def scheduling(result):
    """Give what each host was told about its schedule."""
    told = {
        host: [command for command in commands if WRITE in command]
        for host, commands in result.commands.items()
    }
    return {host: commands for host, commands in told.items() if commands}


def only_looked(result):
    return all(PROBE in command for commands in result.commands.values() for command in commands)


def well(result):
    return (result.refused, result.failed) == ("", set())


def test_a_host_without_a_schedule_gets_it_in_one_command_and_nobody_is_restarted(world):
    unscheduled(world, N2)
    living = Living(world)
    result = run_deploy(living.hosts, etcd)
    assert well(result)
    ((host, (command,)),) = scheduling(result).items()
    assert host == N2
    assert f"put {JOB} 700 root:root" in command
    assert (CROND if world.init == "openrc" else TIMER) in command
    assert "snapshot() { # origin" in "".join(result.stdin[N2])
    assert living.events == [(N2, "schedule")]


def test_a_run_that_only_schedules_takes_the_lock_and_looks_again_like_every_change(world):
    unscheduled(world, N2)
    commands = run_deploy(Living(world).hosts, etcd).commands[N1]
    assert [PROBE in commands[0], "etcd-steward.root/lock" in commands[1], PROBE in commands[2]] == [True] * 3


def test_a_dry_run_tells_of_the_schedule_and_writes_none(world):
    unscheduled(world, N2)
    result = run_deploy(Living(world).hosts, etcd, mode="dry")
    assert well(result)
    assert only_looked(result)
    (changing,) = [op for op in result.state.ops[result.state.inventory.get_host(N2)].values() if op.operation_meta.will_change]  # fmt: skip
    assert changing.operation_meta is not None


@pytest.mark.parametrize("yes", [True, False])
def test_another_interval_reaches_the_job_and_restarts_nobody(world, yes):
    living = Living(world)
    result = run_deploy(living.hosts, etcd, data={"etcd_snapshot_hours": 2}, yes=yes)
    assert well(result)
    assert sorted(living.happened("schedule")) == list(HOSTS)
    assert {what for _, what in living.events} == {"schedule"}
    assert all("hours=2\n" in "".join(sent) for sent in result.stdin.values())
    if world.init == "openrc":
        told = scheduling(result)[N1][0]
        assert "/etc/crontabs/root" not in told, "the line is as it was"
        assert CROND not in told


def test_the_schedule_can_be_switched_off_and_then_there_is_nothing_more_to_do(world):
    off = {"etcd_snapshots": False}
    result = run_deploy(Living(world).hosts, etcd, data=off)
    assert well(result)
    ended = (
        "systemctl disable --quiet --now etcd-snapshot.timer"
        if world.init == "systemd"
        else "line=''\n# Puts one marked"
    )
    assert all(ended in command for (command,) in scheduling(result).values())
    assert set(scheduling(result)) == set(HOSTS)
    for host in world.hosts.values():
        host.lines = without(host.lines, "schedule ActiveState", "schedule UnitFileState", "schedule line")
    again = run_deploy(Living(world).hosts, etcd, data=off)
    assert well(again)
    assert only_looked(again)


@pytest.mark.parametrize("word", ["ActiveState", "UnitFileState"])
def test_what_starts_the_job_is_switched_on_again(world, word):
    world.hosts[N3].lines = without(world.hosts[N3].lines, f"schedule {word}")
    result = run_deploy(Living(world).hosts, etcd)
    assert well(result)
    ((host, (command,)),) = scheduling(result).items()
    assert host == N3
    assert f"put {JOB}" not in command
    wanted = {"ActiveState": CROND, "UnitFileState": "rc-update --quiet add crond default"}
    assert (wanted[word] if world.init == "openrc" else TIMER) in command


def test_what_the_schedule_starts_does_not_keep_the_lock_of_changing_commands(world):
    unscheduled(world, N2)
    ((_, (command,)),) = scheduling(run_deploy(Living(world).hosts, etcd)).items()
    started = CROND if world.init == "openrc" else TIMER
    assert command.index(started) < command.index("} 9>&-", command.index(started))


def test_a_host_that_does_not_take_its_schedule_fails_the_run(world):
    unscheduled(world, N2)
    living = Living(world, lambda _host, command: "before" if f"put {JOB}" in command else "")
    result = run_deploy(living.hosts, etcd)
    assert N2 in result.failed


def test_a_schedule_is_not_written_while_a_member_is_out_of_reach(world):
    unscheduled(world, N2)
    world.hosts[N3].reachable = False
    result = run_deploy(world.hosts, etcd)
    assert f"{N2}: the schedule of snapshots" in result.refused
    assert only_looked(result)


def test_under_a_limit_only_the_named_hosts_get_a_schedule(world):
    for host in HOSTS:
        unscheduled(world, host)
    result = run_deploy(Living(world).hosts, etcd, limit=[N2])
    assert well(result)
    assert set(scheduling(result)) == {N2}


def test_a_new_cluster_has_its_schedule_once_it_has_formed(tmp_path, monkeypatch):
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(archive, "0" * 64))
    living = Living(World(tmp_path / "controller", formed=False))
    result = run_deploy(living.hosts, etcd)
    assert well(result)
    assert sorted(living.happened("schedule")) == list(HOSTS)
    assert {what for _, what in living.events[-3:]} == {"schedule"}
    assert well(run_deploy(living.hosts, status)), "no snapshot is due on the first day"


def test_a_member_that_leaves_has_its_schedule_ended_before_its_service_is_stopped(world):
    member = world.cluster.member(N3)
    state = world.sight().hosts[N3]
    behind = left_behind(member.settings, state)
    assert "schedule" in behind
    command = "".join(str(part) for part in stop_and_move_aside(member, state, behind).bits)
    if world.init == "systemd":
        ended = command.index("systemctl disable --quiet --now etcd-snapshot.timer")
        assert ended < command.index("systemctl disable --quiet --now etcd.service")
    else:
        ended = command.index("mark='# written by etcd-steward: etcd-snapshot'\nline=''")
        assert ended < command.index("rc-service --quiet etcd stop")
    world.hosts[N3].lines = without(world.hosts[N3].lines, "schedule ")
    assert "schedule" not in left_behind(member.settings, world.sight().hosts[N3])


def snapshot(world, host, age, **more):
    """Let a host tell of a snapshot that is so many seconds old."""
    member = world.cluster.member(host)
    identity = more.pop("cluster_id", world.record.id)
    name = f"etcd-{member.name}"
    told = (
        f'{{"written by":"etcd-steward","file":"{name}.db","sha256":"{"a" * 64}","size":1,"revision":7,"keys":1,'
        f'"hash":1,"compact_revision":-1,"cluster":"etcd","cluster_id":"{identity}","member":"{member.name}",'
        f'"version":"3.5.33","time":"2026-01-01T00:00:00Z","seconds":{int(now(world, host)) - age},"origin":"scheduled"}}'
    )
    world.hosts[host].lines.insert(-1, f"snapshot {told}")


def now(world, host):
    return next(line for line in world.hosts[host].lines if line.startswith("now ")).split()[1]


def test_f21_status_fails_where_the_newest_snapshot_is_old_and_tells_every_age(world):
    for host in HOSTS:
        snapshot(world, host, 3 * 3600)
    fine = run_deploy(world.hosts, status)
    assert well(fine)
    assert fine.stdout.count(" 3 h") == 3
    world.show(N2, "converged")
    snapshot(world, N2, 9 * 3600)
    old = run_deploy(world.hosts, status)
    assert old.failed == {N2}
    assert f"{N2}: found the newest snapshot 9 h old, wanted one at most 6 h old; next: look at" in old.stdout


def test_a_snapshot_of_the_future_is_told_as_a_matter_of_the_clock(world):
    snapshot(world, N2, -7200)
    result = run_deploy(world.hosts, status)
    assert result.failed == {N2}
    assert f"{N2}: found a snapshot of the future" in result.stdout
    assert " clock\n" in result.stdout


def test_an_old_copy_on_the_controller_is_a_note_and_fails_nothing(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "backups" / "etcd"
    folder.mkdir(parents=True)
    snapshot(world, N1, 40 * 86400)
    line = next(line for line in world.hosts[N1].lines if line.startswith("snapshot "))
    world.show(N1, "converged")
    (folder / "etcd-n1.json").write_text(line.removeprefix("snapshot ") + "\n")
    (folder / "etcd-n1.db").write_text("")
    (folder / "broken.json").write_bytes(b"\xff{")
    result = run_deploy(world.hosts, status)
    assert well(result)
    assert "note: etcd: the newest copy in backups is 40 d old; next: run deploys/backup.py" in result.stdout


def test_members_take_their_snapshots_at_different_minutes(world):
    own = [schedule(world.cluster, member, world.init) for member in world.cluster.members]
    assert len({one.line or one.files[2].content for one in own}) == len(HOSTS)

"""Snapshots on real hosts: taken, scheduled, pruned, and proved by drills that touch no member."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.targets import mirror
from tests.targets.common import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FOLDER = "/var/lib/etcd-snapshots"
JOB = "/etc/etcd-steward/etcd-snapshot"
CRONTAB = "/etc/crontabs/root"
MIXED = ("alpine", "debian", "centos")


@pytest.fixture
def site(shared: Callable[..., Site]) -> Site:
    return shared(MIXED)


def on(site: Site, family: str) -> Host:
    return next(host for host in site.hosts if host.family == family)


def alpine(site: Site) -> Host:
    return on(site, "alpine")


def manifests(host: Host) -> dict[str, dict[str, Any]]:
    listed = host.run(f"cd {FOLDER} 2>/dev/null && cat *.json 2>/dev/null; :").stdout.splitlines()
    found = [json.loads(line) for line in listed if line.startswith('{"written by":"etcd-steward"')]
    return {one["file"]: one for one in found}


def everywhere(site: Site) -> dict[str, tuple[Host, dict[str, Any]]]:
    return {file: (host, told) for host in site.hosts for file, told in manifests(host).items()}


def backup(site: Site) -> tuple[Host, dict[str, Any], Path]:
    """Take a backup; give its host, its manifest, and the copy here."""
    before = everywhere(site)
    site.run("-y", "deploys/backup.py").succeeded()
    after = everywhere(site)
    # The hosts' own schedule may take one meanwhile.
    (file,) = (new for new in after.keys() - before.keys() if after[new][1]["origin"] != "scheduled")
    host, told = after[file]
    return host, told, site.folder / "backups" / "etcd" / file


def leftovers(host: Host) -> str:
    """List what a backup or a drill must not leave: staged copies, working folders, processes."""
    look = (
        f"ls -d /tmp/etcd-steward* /tmp/pyinfra* /var/tmp/etcd-steward* {FOLDER}/.taking* {FOLDER}/.drill* 2>/dev/null;"
        "{ ps -eo args 2>/dev/null || ps -o args; } | grep '[.]/throw-away'; :"
    )
    return host.run(look).stdout


def nothing_is_left(host: Host) -> None:
    """Fail unless all that is gone; the clock of busybox's `timeout` sees only within a second that its program ended."""
    wait_until(f"{host.name} without leftovers", lambda: leftovers(host) == "", 10)


def test_f24_a_backup_comes_from_one_follower_and_says_exactly_what_it_holds(site: Site) -> None:
    site.put(site.hosts[0], "a", "1")
    host, told, copy = backup(site)
    leader = site.status(host)["leader"]
    assert f"{leader:016x}" != told["member_id"]
    assert told["cluster_id"] == f"{site.status(host)['header']['cluster_id']:016x}"
    assert told["revision"] == site.status(host)["header"]["revision"]
    assert told["keys"] == len(site.etcdctl(host, "get", "", "--prefix", "--keys-only").split())
    assert told["version"] == mirror.DEFAULT
    digests = {
        hashlib.sha256(copy.read_bytes()).hexdigest(),
        host.run(f"sha256sum <{FOLDER}/{copy.name}").stdout[:64],
    }
    assert digests == {told["sha256"]}
    assert json.loads(copy.with_suffix(".json").read_text()) == told


def test_snapshots_are_readable_by_root_alone_and_no_staged_copy_is_left(site: Site) -> None:
    host, _, copy = backup(site)
    assert host.run(f"stat -c '%a %U' {FOLDER}").stdout == "700 root\n"
    assert host.run(f"find {FOLDER} -type f -exec stat -c '%a %U' {{}} + | sort -u").stdout == "600 root\n"
    assert [one.stat().st_mode & 0o777 for one in (copy.parent.parent, copy.parent, copy)] == [
        0o700,
        0o700,
        0o600,
    ]
    nothing_is_left(host)


def test_a_dry_backup_takes_and_copies_nothing(site: Site) -> None:
    before = everywhere(site)
    site.run("-y", "--dry", "deploys/backup.py").succeeded()
    assert everywhere(site) == before


def hurry(host: Host) -> None:
    """Let the schedule itself start the job within a minute: the daemon of the host has to do it."""
    if host.init == "systemd":
        host.write("/run/systemd/system/etcd-snapshot.timer.d/now.conf", "[Timer]\nOnActiveSec=1\n")
        host.run("systemctl daemon-reload && systemctl restart etcd-snapshot.timer")
        return
    host.run(f"sed -i '\\#{JOB}#s/^[0-9]* /* /' {CRONTAB} && touch {CRONTAB}.new && rm {CRONTAB}.new")
    assert any(line.startswith("* * * * * ") for line in host.read(CRONTAB).splitlines())


def test_f21_the_schedule_takes_a_snapshot_without_any_controller(site: Site) -> None:
    for host in site.hosts:
        host.run(
            f"mkdir -p {FOLDER}.aside && mv {FOLDER}/*.db {FOLDER}/*.json {FOLDER}.aside/ 2>/dev/null; :"
        )
        hurry(host)
    for host in site.hosts:
        wait_until(f"snapshot on {host.name}", partial(manifests, host), 90)
        (told,) = manifests(host).values()
        assert (told["member"], told["origin"]) == (host.name, "scheduled")
        assert host.run(f"sha256sum <{FOLDER}/{told['file']}").stdout[:64] == told["sha256"]
        logs = {
            "systemd": "journalctl -u etcd-snapshot -o cat",
            "openrc": "grep etcd-snapshot /var/log/messages",
        }
        assert told["file"] in host.run(logs[host.init]).stdout
    # What was put in their way here is drift, which the next run ends.
    for host in site.hosts:
        host.run("rm -rf /run/systemd/system/etcd-snapshot.timer.d")
    site.etcd("-y").succeeded()
    assert not any(line.startswith("* ") for line in alpine(site).read(CRONTAB).splitlines() if JOB in line)


def test_a_schedule_that_somebody_switched_off_makes_status_red_and_is_mended(site: Site) -> None:
    host, other = alpine(site), on(site, "centos")
    host.run("rc-service crond stop && rc-update del crond default")
    other.run("systemctl disable --now etcd-snapshot.timer")
    told = [f"{site.name(one)}: found a schedule of snapshots that is switched off" for one in (host, other)]
    site.run("-y", "deploys/status.py").failed(*told)
    before = site.footprint(other)
    site.etcd("-y", "--dry").succeeded()
    assert site.footprint(other) == before, "a dry run changed something"
    site.etcd("-y").succeeded()
    host.run("rc-service crond status && rc-update show default | grep -w crond")
    assert other.run("systemctl is-active etcd-snapshot.timer").stdout == "active\n"
    site.run("-y", "deploys/status.py").succeeded()
    site.etcd("-y").unchanged()


def test_a_scheduled_job_takes_none_while_the_newest_is_fresh_and_one_when_a_clock_lied(site: Site) -> None:
    host = alpine(site)
    host.run(f"sh {JOB}")
    before = manifests(host)
    assert host.run(f"sh {JOB} scheduled").stdout == "none is due\n"
    assert manifests(host) == before
    host.run(f'for one in {FOLDER}/*.json; do sed -i \'s/"seconds":[0-9]*/"seconds":9999999999/\' $one; done')
    site.run("-y", "deploys/status.py").failed("found a snapshot of the future")
    assert host.run(f"sh {JOB} scheduled").stdout.startswith("taken ")
    site.run("-y", "deploys/status.py").succeeded()


def test_the_schedule_follows_the_settings_and_other_lines_of_the_crontab_stay(site: Site) -> None:
    host, other = alpine(site), on(site, "debian")
    host.write(CRONTAB, host.read(CRONTAB) + "5 4 * * * echo etcd-snapshot of my own\n", 0o600)
    foreign = [line for line in host.read(CRONTAB).splitlines() if JOB not in line]
    site.etcd("-y").unchanged()
    site.settings["etcd_snapshot_hours"] = 2
    site.settings["etcd_snapshot_command"] = 'cp "$ETCD_SNAPSHOT_MANIFEST" /root/by-the-job'
    before = site.processes()
    try:
        site.etcd("-y").succeeded()
        assert [line for line in host.read(CRONTAB).splitlines() if JOB not in line] == foreign
        assert all("hours=2\n" in one.read(JOB) for one in site.hosts)
        for one in (host, other):
            one.run("sh", JOB)
            assert json.loads(one.read("/root/by-the-job")) in manifests(one).values()
        site.settings["etcd_snapshots"] = False
        site.etcd("-y").succeeded()
        assert host.read(CRONTAB).splitlines() == foreign
        assert other.run("systemctl is-enabled etcd-snapshot.timer", check=False).stdout == "disabled\n"
        assert other.run("systemctl is-active etcd-snapshot.timer", check=False).stdout == "inactive\n"
        site.etcd("-y").unchanged()
        site.run("-y", "deploys/status.py").succeeded()
    finally:
        for key in ("etcd_snapshots", "etcd_snapshot_hours", "etcd_snapshot_command"):
            site.settings.pop(key, None)
    site.etcd("-y").succeeded()
    assert site.processes() == before, "a member was restarted for its schedule"
    site.etcd("-y").unchanged()


@pytest.mark.parametrize("family", ["alpine", "centos"])
def test_f22_f23_pruning_keeps_the_newest_and_touches_no_foreign_file(site: Site, family: str) -> None:
    host = on(site, family)
    host.run(f"sh {JOB}")
    file, told = max(manifests(host).items())
    for number in range(20):
        old = f"old-{number}.db"
        one = {
            **told,
            "file": old,
            "revision": told["revision"] - 1,
            "seconds": told["seconds"] - 60 * 86400 - number,
        }
        host.write(f"{FOLDER}/{old}", "")
        host.write(f"{FOLDER}/old-{number}.json", json.dumps(one, separators=(",", ":")) + "\n")
    host.write(f"{FOLDER}/my notes.txt", "mine")
    host.write(f"{FOLDER}/copied.db", "mine")
    said = host.run(f"sh {JOB}").stdout
    assert "pruned old-19.db" in said
    left = manifests(host)
    assert file in left
    assert len([one for one in left if one.startswith("old-")]) < 3
    assert host.read(f"{FOLDER}/my notes.txt") == host.read(f"{FOLDER}/copied.db") == "mine"


def test_the_operators_command_gets_the_snapshot_and_its_failure_is_told(site: Site) -> None:
    site.settings["etcd_snapshot_command"] = (
        'cp "$ETCD_SNAPSHOT_MANIFEST" /root/sent && test -s "$ETCD_SNAPSHOT"'
    )
    try:
        host, told, _ = backup(site)
        assert json.loads(host.read("/root/sent")) == told
        site.settings["etcd_snapshot_command"] = "echo no space there; exit 3"
        before = everywhere(site)
        site.run("-y", "deploys/backup.py").failed("exit status 3 of etcd_snapshot_command")
        assert len(everywhere(site)) == len(before) + 1, "the snapshot itself was lost"
    finally:
        del site.settings["etcd_snapshot_command"]


def test_f23_a_backup_refuses_to_fill_the_disk_that_etcd_writes_to(site: Site) -> None:
    before = everywhere(site)
    site.settings["etcd_min_free_mb"] = 10**8
    try:
        site.run("-y", "deploys/backup.py").failed("MB free in /var/lib/etcd-snapshots, wanted")
    finally:
        del site.settings["etcd_min_free_mb"]
    assert everywhere(site) == before


def test_a_drill_restores_the_newest_beside_the_members_and_leaves_nothing(site: Site) -> None:
    site.put(site.hosts[0], "b", "2")
    host, told, _ = backup(site)
    before = site.processes()
    outcome = site.run("-y", "deploys/drill.py").succeeded()
    plain = " ".join(outcome.text.split())
    assert f"a restore of {told['file']} would bring back {told['keys']} keys of {told['time']}" in plain
    assert site.processes() == before
    nothing_is_left(host)


def test_a_drill_holds_where_everything_up_to_a_deletion_was_compacted(site: Site) -> None:
    host = site.hosts[0]
    site.put(host, "gone", "soon")
    site.etcdctl(host, "del", "gone")
    revision = site.status(host)["header"]["revision"]
    site.etcdctl(host, "compact", str(revision))
    _, told, _ = backup(site)
    assert told["revision"] == revision
    outcome = site.run("-y", "deploys/drill.py").succeeded()
    assert "note:" not in outcome.text, "something could not be compared"


@contextmanager
def put_away(copy: Path) -> Iterator[None]:
    """Hide the controller's good copy, which would be tried before the host's."""
    files = [copy, copy.with_suffix(".json")]
    for file in files:
        file.rename(file.with_name(f"{file.name}.away"))
    try:
        yield
    finally:
        for file in files:
            file.with_name(f"{file.name}.away").rename(file)


def test_f26_a_drill_is_red_on_a_tampered_file_and_still_leaves_nothing(site: Site) -> None:
    host, told, copy = backup(site)
    path = f"{FOLDER}/{told['file']}"
    host.run(f"printf x | dd of={path} bs=1 seek=9000 conv=notrunc 2>/dev/null")
    with put_away(copy):
        site.run("-y", f"--data=etcd_snapshot={told['file']}", "deploys/drill.py").failed(
            f"wanted {told['sha256']}"
        )
    nothing_is_left(host)
    # The controller's copy is whole: by its path it is sent over and tried.
    site.run("-y", f"--data=etcd_snapshot=backups/etcd/{copy.name}", "deploys/drill.py").succeeded()
    for one in site.hosts:
        nothing_is_left(one)
    copy.write_bytes(copy.read_bytes()[:-1])
    site.run("-y", f"--data=etcd_snapshot=backups/etcd/{copy.name}", "deploys/drill.py").refused(
        f"wanted {told['size']}"
    )
    host.run(f"rm {path}")


def test_f26_a_drill_is_red_where_the_manifest_says_other_than_the_snapshot_holds(site: Site) -> None:
    host, told, copy = backup(site)
    path = f"{FOLDER}/{told['file']}".removesuffix(".db") + ".json"
    one = {**told, "keys": told["keys"] + 1, "hash": 1}
    host.write(path, json.dumps(one, separators=(",", ":")) + "\n", 0o600)
    with put_away(copy):
        outcome = site.run("-y", f"--data=etcd_snapshot={told['file']}", "deploys/drill.py")
    outcome.failed(f"found {told['keys']} keys, wanted {told['keys'] + 1}", "wanted 00000001")
    assert "proves nothing" not in outcome.text, "the hash was only a note"
    host.write(path, json.dumps(told, separators=(",", ":")) + "\n", 0o600)


def test_f26_a_copied_database_without_a_manifest_is_refused(site: Site) -> None:
    (site.folder / "copied.db").write_bytes(b"x" * 4096)
    site.run("-y", "--data=etcd_snapshot=copied.db", "deploys/drill.py").refused(
        "copied.db without a manifest"
    )


@pytest.mark.parametrize("version", ["3.4.23", "3.5.30", "3.7.3"])
def test_f20_snapshots_of_releases_with_and_without_etcdutl_are_proved_by_a_drill(
    fresh: Callable[..., Site], version: str
) -> None:
    site = fresh(("debian",), settings={"etcd_version": version})
    site.etcd("-y").succeeded()
    for number in range(9):
        site.put(site.hosts[0], f"key{number}", "value")
    _, told, _ = backup(site)
    assert (told["version"], told["keys"]) == (version, 9)
    outcome = site.run("-y", "deploys/drill.py").succeeded()
    assert "note:" not in outcome.text, "something could not be compared"


def test_over_ssh_with_sudo_the_copy_never_lies_where_others_can_read_it(fresh: Callable[..., Site]) -> None:
    site = fresh(("debian",), "ssh")
    site.etcd("-y").succeeded()
    host, _, copy = backup(site)
    site.run("-y", f"--data=etcd_snapshot=backups/etcd/{copy.name}", "deploys/drill.py").succeeded()
    nothing_is_left(host)

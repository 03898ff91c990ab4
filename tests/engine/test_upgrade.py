"""What is promised about `deploys/upgrade.py`, with pyinfra's real engine over pretended hosts.

No build of 3.6 or 3.7 is at hand: what is said of them here rests on etcd's documentation alone.
"""

import itertools
import json
import re
import sys
import time

import pytest

from etcd_steward import gating, raft_gate, releases
from etcd_steward.verbs import etcd, upgrade
from etcd_steward.versions import NEWEST, hops, parse
from tests.engine.fakes import World, run_deploy
from tests.engine.living import OWN_STATUS, START, STOP, WRITE, Living, value

AUTHENTICATES = "--user=etcd-steward-asks:nothing"
N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
MODES = ["", "serial", "no_wait"]
SNAPSHOT, HASHES, DOWN, V2, RAFT = (
    "snapshot upgrade || :",
    "10m endpoint hashkv",
    "downgrade validate",
    "check v2store",
    "/member/snap/*.snap",
)


@pytest.fixture(autouse=True)
def archive(tmp_path, monkeypatch):
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(file, "0" * 64))


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Let every look at the clock take ten seconds, so that waiting ends at once."""

    class Clock:
        monotonic = itertools.count(step=10).__next__

    for module in (gating, raft_gate):
        monkeypatch.setattr(module, "time", Clock)
    monkeypatch.setattr(gating.gevent, "sleep", lambda _seconds: None)


class Climbing(Living):
    """Members whose release is that of the links which were last made, and which answer the questions of the gates."""

    def __init__(self, world, version, **more):
        self.versions = dict.fromkeys(HOSTS, version)
        self.snapshot = ["taken " + manifest(world)]
        self.hashes = [7, 7, 7]
        self.v2 = "v2store No custom content found in v2store."
        self.authenticates = ["off"]
        self.target = ""
        self.led = []
        self.asked = []
        self.unpacked = {}
        # Where a member's newest raft snapshot lies, and how far one goes that it makes when it is written to.
        self.raft_snapshots = dict.fromkeys(HOSTS, 7)
        self.makes = dict.fromkeys(HOSTS, 50)
        self.often = set()
        self.before_3_7 = None
        super().__init__(world, **more)
        self._show()

    def reply(self, host, command):
        found = re.search(r"^release=\S*/(\d+\.\d+\.\d+)$", command, re.MULTILINE)
        if found:
            self.versions[host] = found.group(1)
        if WRITE in command and "initial-cluster-token" in self.hosts[host].given:
            (self.often.add if "snapshot-count: 25" in self.hosts[host].given else self.often.discard)(host)
            if found and self.versions[host].startswith("3.7") and self.before_3_7 is None:
                self.before_3_7 = dict(self.raft_snapshots)
        if "mktemp -d /var/tmp/etcd-steward" in command:
            return ["/var/tmp/etcd-steward.abc"]
        if "file=etcd-v" in command and "\necho staged" in command:
            self.events.append((host, "unpack"))
            return self.unpacked.get(host, ["staged"])
        for word in (SNAPSHOT, HASHES, DOWN, V2):
            if word in command:
                self.asked.append(word)
                self.events.append((host, word))
        return super().reply(host, command)

    def _show(self):
        for host in self.running:
            self.world.show(
                host,
                "converged",
                leader=self.leader,
                version=self.versions[host],
                often=host in self.often,
            )
            # The probe lets the newest etcdctl on the host ask, so it tells all that the member says.
            self.hosts[host].lines = [
                f"etcd {self._own_status(host)}" if line.startswith("etcd status ") else line
                for line in self.hosts[host].lines
            ]

    def _answer(self, host, command):  # noqa: PLR0911 - one for each question
        if SNAPSHOT in command:
            return self.snapshot
        if AUTHENTICATES in command:
            return self.authenticates
        if HASHES in command:
            asked = value(command, "endpoints").split(",")
            told = [{"Endpoint": one, "HashKV": {"hash": self.hashes[at]}} for at, one in enumerate(asked)]
            return ["revision 7", f"hashes {json.dumps(told)}"]
        if DOWN in command:
            return self._downgrade(host, value(command, "line"))
        if OWN_STATUS in command:
            return [self._own_status(host)]
        if RAFT in command and V2 not in command:
            told = f"snapshot {1:016x}-{self.raft_snapshots[host]:016x}.snap"
            if value(command, "writes") != "0" and host in self.often:
                self.raft_snapshots[host] = self.makes[host]
            return [told]
        if V2 in command and self.versions[host].startswith("3.5."):
            return [self.v2]
        if V2 in command:  # only 3.5 has it (etcd#19113, etcd#21889)
            return ["v2store   etcdutl [command]", 'v2store Error: unknown command "check" for "etcdutl"']
        return super()._answer(host, command)

    def _downgrade(self, host, line):
        self.led.append((host, line))
        if self.versions[host].startswith(("3.4.", "3.5.")):
            return ['refused Error: unknown command "downgrade" for "etcdctl"']
        if line != "none" and self.target not in {"", line}:
            # etcd itself ends a downgrade that all have gone, some seconds after the last.
            if all(version.startswith(f"{self.target}.") for version in self.versions.values()):
                self.target = ""
            return ["refused Error: etcdserver: cluster has a downgrade job in progress"]
        self.target = "" if line == "none" else line
        return ["agreed"]

    def _own_status(self, host):
        """Tell what a member tells its own etcdctl: one of 3.5 has no word for what 3.6 brought."""
        status = json.loads(self._status(host).removeprefix("status "))
        if not self.versions[host].startswith(("3.4.", "3.5.")):
            lowest = min(self.versions.values(), key=parse)
            info = {"enabled": True, "targetVersion": f"{self.target}.0"} if self.target else {}
            status[0]["Status"] |= {
                "storageVersion": f"{self.target or parse(lowest).minor_line}.0",
                "downgradeInfo": info,
            }
        return f"status {json.dumps(status)}"

    def _status(self, host):
        told = super()._status(host)
        return told.replace(f'"version": "{self.world.version}"', f'"version": "{self.versions[host]}"')


def manifest(world, **changes):
    told = {
        "written by": "etcd-steward",
        "file": "a.db",
        "sha256": "ab" * 32,
        "size": 20512,
        "revision": 7,
        "keys": 3,
        "hash": 5,
        "compact_revision": 1,
        "cluster": "etcd",
        "cluster_id": world.record.id,
        "member": "n2",
        "version": "3.5.16",
        "time": "2026-07-21T03:19:00Z",
        "seconds": int(time.time()) - 60,
        "origin": "upgrade",
        **changes,
    }
    return json.dumps(told)


def climbing(tmp_path, version="3.5.16", wanted="3.5.30", **more):
    world = World(tmp_path / "controller", etcd_version=wanted)
    return Climbing(world, version, **more)


@pytest.mark.parametrize("mode", MODES)
def test_hashes_and_a_snapshot_come_before_the_first_restart_in_every_mode(tmp_path, mode):
    living = climbing(tmp_path)
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.5.30"}
    order = [event for _, event in living.events]
    assert order[:2] == [HASHES, SNAPSHOT]
    assert order.count(SNAPSHOT) == order.count(HASHES) == 1
    assert order.index("stop") > order.index(SNAPSHOT)
    assert "a.db: revision 7, 3 keys" in result.log


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["failed found 3 MB free, wanted 9 MB; next: make room"], "found 3 MB free"),
        ([], "wanted a snapshot"),
        (["taken {}"], "wanted a snapshot"),
    ],
)
def test_without_a_snapshot_no_member_is_touched(tmp_path, mode, said, sentence):
    living = climbing(tmp_path)
    living.snapshot = said
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert N1 in result.failed
    assert sentence in result.log
    assert "no member was touched" in result.log
    assert living.happened("stop") == []


def test_a_snapshot_whose_command_failed_stops_the_upgrade_too(tmp_path):
    living = climbing(tmp_path)
    living.snapshot += ["failed found exit status 3 of etcd_snapshot_command, wanted 0"]
    result = run_deploy(living.hosts, upgrade)
    assert "exit status 3 of etcd_snapshot_command" in result.log
    assert living.happened("stop") == []


@pytest.mark.parametrize("mode", MODES)
def test_f35_members_that_differ_are_left_as_they_are(tmp_path, mode):
    living = climbing(tmp_path)
    living.hashes = [7, 7, 8]
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert result.failed == set(HOSTS)
    assert "found members that hold different keys at revision 7" in result.log
    assert living.happened("stop") == living.happened(SNAPSHOT) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["on"], "found etcd's authentication on, wanted it off"),
        (["untold context deadline exceeded"], "context deadline exceeded"),
        ([], "no answer whether etcd's authentication is on"),
    ],
)
def test_from_3_4_to_3_5_authentication_must_be_known_to_be_off(tmp_path, mode, said, sentence):
    living = climbing(tmp_path, "3.4.23", "3.5.30")
    living.authenticates = said
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert result.failed == set(HOSTS)
    assert sentence in result.log
    assert living.happened("stop") == living.happened(SNAPSHOT) == []


def test_a_canary_from_3_4_to_3_5_is_refused_with_authentication_too(tmp_path):
    living = climbing(tmp_path, "3.4.23", "3.5.30")
    living.authenticates = ["on"]
    result = run_deploy(living.hosts, upgrade, limit=[N3])
    assert N3 in result.failed
    assert living.happened("stop") == []


def test_authentication_is_no_reason_on_any_other_way(tmp_path):
    living = climbing(tmp_path, "3.5.16", "3.5.30")
    living.authenticates = ["on"]
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())


def earlier(living, line, digest="ab" * 32):
    """Let a snapshot lie on the second host, whose file has a digest."""
    living.hosts[N2].lines.insert(-1, f"snapshot {line}")
    file, answer = json.loads(line)["file"], living.hosts[N2].reply

    def reply(command):
        return [digest] if f"sha256sum </var/lib/etcd-snapshots/{file}" in command else answer(command)

    living.hosts[N2].reply = reply


def test_an_upgrade_goes_on_with_the_snapshot_of_its_first_try_only_while_that_is_whole(tmp_path):
    for digest, taken in (("ab" * 32, 0), ("cd" * 32, 1)):
        living = climbing(tmp_path / digest[:2])
        living.running.discard(N1)
        living.versions[N1] = "3.5.30"
        living.world.show(N1, "stopped", version="3.5.30")
        earlier(living, manifest(living.world), digest)
        result = run_deploy(living.hosts, upgrade)
        assert (result.refused, result.failed) == ("", set())
        assert len(living.happened(SNAPSHOT)) == taken
        assert set(living.versions.values()) == {"3.5.30"}
        assert living.happened("start")[0] == N1


def test_the_snapshot_comes_from_a_member_that_still_runs_the_older_release(tmp_path):
    living = climbing(tmp_path)
    living.leader = living.world.cluster.member(N3)
    living.versions[N1] = "3.5.30"
    living._show()
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert living.happened(SNAPSHOT) == [N2]


@pytest.mark.parametrize(("back", "release"), [({}, "3.5.30"), ({"etcd_rollback": True}, "3.5.16")])
def test_after_a_canary_that_is_well_a_new_snapshot_is_taken_for_the_way_on_and_for_the_way_back(
    tmp_path, back, release
):
    living = Climbing(World(tmp_path / "controller", etcd_version="3.5.30", **back), "3.5.16")
    living.versions[N1] = "3.5.30"
    living._show()
    earlier(living, manifest(living.world, file="canary.db"))
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert len(living.happened(SNAPSHOT)) == 1
    assert set(living.versions.values()) == {release}
    assert set(living.happened("stop")) == ({N1} if back else {N2, N3}), "who is done is not restarted"


def stores(monkeypatch, living, *strangers):
    """Let the snapshot that is read on the way to 3.6 hold the cluster's own members, and perhaps others."""
    world = living.world
    own = [{"id": world.member_id(one), "peerURLs": [one.peer_url]} for one in world.cluster.members]
    stored = {str(one["id"]).encode(): json.dumps(one).encode() for one in [*own, *strangers]}
    monkeypatch.setattr(gating, "download", lambda *_args: None)
    monkeypatch.setattr(gating, "bucket", lambda _file, name: stored if name == b"members" else {})


def test_f34_two_steps_are_each_gated_and_each_finished_on_all_members(tmp_path, monkeypatch):
    living = climbing(tmp_path, "3.4.23", "3.6.14")
    stores(monkeypatch, living)
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.6.14"}
    assert living.asked == [HASHES, SNAPSHOT, HASHES, SNAPSHOT, V2, V2, V2]
    assert len(living.happened("stop")) == 6


@pytest.mark.parametrize("leader", HOSTS)
@pytest.mark.parametrize(("done", "down"), [((), None), ((N1,), None), ((N1,), N1), ((N2, N3), N2)])
def test_f34_a_path_of_two_steps_has_one_order_for_pyinfra_whoever_leads_or_is_down(
    tmp_path, monkeypatch, leader, done, down
):
    living = climbing(tmp_path, "3.4.23", "3.6.14")
    stores(monkeypatch, living)
    living.leader = living.world.cluster.member(leader)
    first = next(iter(hops(parse("3.4.23"), parse("3.6.14")))).to
    living.versions |= dict.fromkeys(done, str(first))
    living._show()
    if down:
        living.running.discard(down)
        living.world.show(down, "stopped", version=str(first))
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.6.14"}


@pytest.mark.parametrize("leader", HOSTS)
def test_a_roll_back_has_one_order_for_pyinfra_whoever_leads(tmp_path, leader):
    world = World(tmp_path / "controller", etcd_version="3.5.30", etcd_rollback=True)
    living = Climbing(world, "3.5.16")
    living.leader = world.cluster.member(leader)
    living.versions |= {N1: "3.5.30", N3: "3.5.30"}
    living._show()
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.5.16"}


def test_f34_the_next_step_waits_for_a_member_that_fell_back(tmp_path, monkeypatch):
    living = climbing(tmp_path, "3.4.23", "3.6.14")
    stores(monkeypatch, living)
    answer = living.reply

    def reply(host, command):
        told = answer(host, command)
        if host == N3 and "release=" in command:  # somebody's hand, while the last member has its turn
            living.versions[N2] = "3.4.23"
            living._show()
        return told

    living.hosts[N3].reply = lambda command: reply(N3, command)
    result = run_deploy(living.hosts, upgrade)
    assert f"found 3.4.23 on @fake/n2, wanted {NEWEST['3.5']} on all before the next step" in result.log
    assert "3.6.14" not in living.versions.values()


ONE_BY_ONE = ["serial", "no_wait"]


@pytest.fixture
def flagged(monkeypatch, mode):
    """Let the command line hold the option of the mode, which pyinfra keeps nowhere else."""
    flag = "--" + mode.replace("_", "-")
    monkeypatch.setattr(sys.modules[upgrade.__module__], "one_by_one", lambda: flag)
    return flag


@pytest.mark.parametrize("mode", ONE_BY_ONE)
@pytest.mark.usefixtures("flagged")
def test_the_release_lies_on_all_hosts_before_the_first_restart_also_one_by_one(tmp_path, mode):
    living = climbing(tmp_path)
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    order = [event for _, event in living.events]
    assert order.count("unpack") == len(HOSTS)
    assert "unpack" not in order[order.index("stop") :]
    assert all(
        result.uploads[host] == ["/var/tmp/etcd-steward.abc/etcd-v3.5.30-linux-amd64.tar.gz"]
        for host in HOSTS
    )


@pytest.mark.parametrize("mode", ONE_BY_ONE)
@pytest.mark.usefixtures("flagged")
def test_a_release_that_does_not_arrive_on_one_host_restarts_nobody_one_by_one(tmp_path, mode):
    living = climbing(tmp_path)
    living.unpacked[N3] = ["found an archive with SHA-256 1, wanted 2; next: look at it"]
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert "@fake/n3: found an archive with SHA-256 1" in result.log
    assert living.happened("stop") == living.happened(SNAPSHOT) == []


@pytest.mark.parametrize("mode", ONE_BY_ONE)
def test_two_steps_are_refused_where_pyinfra_itself_orders_the_hosts(tmp_path, flagged, mode):
    living = climbing(tmp_path, "3.4.23", "3.6.14")
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert f"found 2 steps and {flagged}" in result.refused
    assert living.happened("stop") == []


def test_f31_a_v2_store_with_content_keeps_every_member_on_3_5(tmp_path):
    living = climbing(tmp_path, "3.5.33", "3.6.14")
    living.v2 = "v2store Error: detected custom content in v2store"
    result = run_deploy(living.hosts, upgrade)
    assert result.failed == set(HOSTS)
    assert "found that etcdutl does not call the v2 store empty (n1: Error: detected" in result.log
    assert living.happened("stop") == []


def test_f31_a_cut_upgrade_to_3_6_goes_on_and_asks_only_members_that_are_still_below_it(
    tmp_path, monkeypatch
):
    living = climbing(tmp_path, "3.5.33", "3.6.14")
    stores(monkeypatch, living)
    living.versions[N1] = "3.6.14"
    living._show()
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.6.14"}
    assert sorted(living.happened(V2)) == [N2, N3]


def test_f31_from_one_3_6_to_another_nobody_is_asked_about_the_old_stores(tmp_path):
    living = climbing(tmp_path, "3.6.11", "3.6.14")
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.6.14"}
    assert living.happened(V2) == []


def test_f30_the_members_are_never_read_out_of_an_earlier_snapshot(tmp_path, monkeypatch):
    world = World(tmp_path / "controller", etcd_version="3.6.14", etcd_upgrade_snapshot="recent")
    living = Climbing(world, "3.5.33")
    stores(monkeypatch, living)
    read = []
    monkeypatch.setattr(gating, "download", lambda _run, _host, path, _file: read.append(path))
    earlier(living, manifest(world, file="old.db", revision=9))
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert read == ["/var/lib/etcd-snapshots/a.db"]


def test_f30_a_member_that_only_the_database_knows_keeps_every_member_on_3_5(tmp_path, monkeypatch):
    living = climbing(tmp_path, "3.5.33", "3.6.14")
    stores(monkeypatch, living, {"id": 0xAB, "peerURLs": []})
    result = run_deploy(living.hosts, upgrade)
    assert result.failed == set(HOSTS)
    assert "list different members (00000000000000ab only in the database)" in result.log
    assert living.happened("stop") == []


def test_a_cluster_goes_down_only_after_etcd_has_lowered_its_version(tmp_path):
    living = climbing(tmp_path, "3.6.14", "3.5.33")
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.5.33"}
    order = [event for _, event in living.events]
    assert order.index(DOWN) < order.index("stop")


def test_a_downgrade_that_etcd_refuses_touches_nobody(tmp_path):
    living = climbing(tmp_path, "3.6.14", "3.5.33")
    living._downgrade = lambda _host, _line: ["refused Error: etcdserver: invalid downgrade target version"]
    result = run_deploy(living.hosts, upgrade)
    assert result.failed == set(HOSTS)
    assert "found that etcd refuses the downgrade (Error: etcdserver: invalid downgrade" in result.log
    assert living.happened("stop") == []


INDEX = 42  # how far the log of pretended members has gone


@pytest.mark.parametrize("leader", HOSTS)
def test_before_3_7_every_member_makes_a_raft_snapshot_that_is_newer_than_all_of_3_5(tmp_path, leader):
    living = climbing(tmp_path, "3.6.14", "3.7.1")
    living.leader = living.world.cluster.member(leader)
    living._show()
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.7.1"}
    for host in HOSTS:
        told = [text for text in result.stdin[host] if "snapshot-count: 25" in text]
        assert len(told) == 1
    assert living.often == set(), "3.7 runs with what the settings say"
    assert min(living.before_3_7.values()) >= INDEX, "all of them before the first goes to 3.7"
    stops = living.happened("stop")
    assert sorted(stops[:3]) == sorted(stops[3:]) == sorted(HOSTS)


def test_a_path_over_3_6_makes_the_raft_snapshots_in_the_step_to_3_6(tmp_path, monkeypatch):
    living = climbing(tmp_path, "3.5.33", "3.7.1")
    stores(monkeypatch, living)
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.7.1"}
    assert len(living.happened("stop")) == 6, "no member is restarted once more for it"
    assert min(living.before_3_7.values()) >= INDEX


def test_without_such_a_raft_snapshot_nobody_goes_to_3_7(tmp_path):
    living = climbing(tmp_path, "3.6.14", "3.7.1")
    living.makes[N2] = INDEX - 1
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert N2 in result.failed
    assert f"found the newest raft snapshot of n2 at log entry {INDEX - 1}" in result.log
    assert set(living.versions.values()) == {"3.6.14"}


def test_a_canary_on_3_7_needs_a_raft_snapshot_of_its_own_only(tmp_path):
    living = climbing(tmp_path, "3.6.14", "3.7.1")
    result = run_deploy(living.hosts, upgrade, limit=[N2], cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert living.versions == {N1: "3.6.14", N2: "3.7.1", N3: "3.6.14"}
    assert living.raft_snapshots == {N1: 7, N2: 50, N3: 7}


@pytest.mark.parametrize(("done", "down"), [((N1,), None), ((N1,), N1), ((N2, N3), N2), ((), N3)])
def test_a_cut_way_from_3_6_to_3_7_goes_on_from_where_it_was(tmp_path, done, down):
    living = climbing(tmp_path, "3.6.14", "3.7.1")
    living.versions |= dict.fromkeys(done, "3.7.1")
    living.often = set(HOSTS) - set(done)
    living._show()
    if down:
        living.running.discard(down)
        living.world.show(down, "stopped", version=living.versions[down])
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.7.1"}
    assert min(living.raft_snapshots[host] for host in HOSTS if host not in done) >= INDEX


@pytest.mark.parametrize("version", ["3.7.0", "3.5.16"])
def test_no_raft_snapshot_is_waited_for_where_no_member_goes_from_3_6_to_3_7(tmp_path, version):
    living = climbing(tmp_path, version, {"3.7.0": "3.7.1"}.get(version, "3.5.30"))
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.raft_snapshots.values()) == {7}
    assert len(living.happened("stop")) == 3


@pytest.mark.parametrize("mode", ONE_BY_ONE)
def test_raft_snapshots_that_are_still_to_be_made_are_refused_where_pyinfra_orders_the_hosts(
    tmp_path, flagged, mode
):
    living = climbing(tmp_path, "3.6.14", "3.7.1")
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert f"raft snapshots to be made before 3.7 and {flagged}" in result.refused
    assert living.events == []


class Crashing(Climbing):
    """A member that ends at once where it is started with a release, on the data that it has."""

    def __init__(self, world, version, who, release):
        self.who, self.release = who, release
        super().__init__(world, version)

    def reply(self, host, command):
        told = super().reply(host, command)
        if host == self.who and self.versions[host] == self.release and host in self.running:
            self.running.discard(host)
            self.world.show(host, "stopped", version=self.release)
            self.shown = None
            self._show()
        return told


@pytest.fixture
def impatient(monkeypatch):
    class Clock:
        monotonic = itertools.count(step=10).__next__

    monkeypatch.setattr("etcd_steward.talk.time", Clock)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("start", "wanted"), [("3.6.14", "3.7.1"), ("3.5.16", "3.5.30")])
def test_a_failed_hop_names_the_way_back_and_that_way_works(tmp_path, start, wanted):
    world = World(tmp_path / "controller", etcd_version=wanted)
    living = Crashing(world, start, N2, wanted)
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert N2 in result.failed
    assert f"deploys/upgrade.py --data etcd_rollback=true, which brings it back to {start}" in result.log
    again = run_deploy(living.hosts, upgrade, cli=True, data={"etcd_rollback": True})
    assert (again.refused, again.failed) == ("", set())
    assert set(living.versions.values()) == {start}


@pytest.mark.usefixtures("impatient")
def test_where_the_last_member_fails_each_way_back_leads_to_its_replacement(tmp_path):
    world = World(tmp_path / "controller", etcd_version="3.7.1")
    living = Crashing(world, "3.6.14", N1, "3.7.1")  # the leader, and so the last
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert N1 in result.failed
    replace = "deploys/etcd.py --data etcd_replace=n1"
    assert replace in result.log
    for data in ({"etcd_rollback": True}, {"etcd_version": "3.6.14"}, {"etcd_version": "3.7.0"}):
        refused = run_deploy(living.hosts, upgrade, cli=True, data=data).refused
        assert replace in refused, data
    assert replace in run_deploy(living.hosts, etcd, cli=True).log
    living.who = ""
    result = run_deploy(living.hosts, etcd, cli=True, data={"etcd_replace": "n1"})
    assert result.refused == ""
    assert [what for _, what in living.events if what in {"remove", "add"}] == ["remove", "add"]
    (moved,) = [command for command in result.commands[N1] if 'change "$data_dir/member"' in command]
    assert moved.index(STOP) < moved.index('change "$data_dir/member"') < moved.index(START)


@pytest.mark.parametrize("leader", HOSTS)
def test_two_steps_down_are_one_command_and_each_is_asked_for(tmp_path, leader):
    living = climbing(tmp_path, "3.7.1", "3.5.33")
    living.leader = living.world.cluster.member(leader)
    living._show()
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.5.33"}
    order = [event for _, event in living.events if event in {DOWN, "stop"}]
    first = order.index("stop")
    assert DOWN in order[:first]
    assert DOWN in order[first + 3 :]
    assert order.count("stop") == 6


@pytest.mark.parametrize("canary", HOSTS)
def test_f2_a_canary_of_3_6_is_taken_back_whichever_host_it_is(tmp_path, canary):
    living = Climbing(World(tmp_path / "controller", etcd_version="3.6.14", etcd_rollback=True), "3.5.33")
    living.versions[canary] = "3.6.14"
    living._show()
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.5.33"}
    assert living.happened("stop") == [canary]


@pytest.mark.parametrize("done", HOSTS)
def test_f2_a_cut_downgrade_goes_on_whichever_member_it_has_reached(tmp_path, done):
    living = climbing(tmp_path, "3.6.14", "3.5.33")
    living.versions[done] = "3.5.33"
    living.target = "3.5"
    living._show()
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.5.33"}
    assert done not in living.happened("stop")


@pytest.mark.parametrize("done", HOSTS)
@pytest.mark.parametrize("mode", MODES)
def test_f8_a_way_that_leads_up_again_leaves_no_downgrade_enabled(tmp_path, monkeypatch, done, mode):
    living = climbing(tmp_path, "3.6.14", "3.6.14")
    stores(monkeypatch, living)
    living.versions[done] = "3.5.33"
    living.target = "3.5"
    living._show()
    result = run_deploy(living.hosts, upgrade, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert set(living.versions.values()) == {"3.6.14"}
    assert living.target == ""
    assert done not in {host for host, _ in living.led}, "its etcdctl knows no such question"


def test_f8_a_downgrade_that_an_earlier_run_left_enabled_is_ended_by_a_run_that_has_nothing_else_to_do(
    tmp_path,
):
    living = climbing(tmp_path, "3.6.14", "3.6.14")
    living.target = "3.5"
    living._show()
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert living.target == ""
    assert living.happened("stop") == []


def test_f8_a_downgrade_that_comes_up_while_members_have_their_turns_is_ended_after_the_last(tmp_path):
    living = climbing(tmp_path, "3.6.11", "3.6.14")
    answer = living.reply

    def reply(host, command):
        told = answer(host, command)
        if "release=/opt/etcd/" in command:  # somebody's hand
            living.target = "3.5"
        return told

    living.hosts[N3].reply = lambda command: reply(N3, command)
    result = run_deploy(living.hosts, upgrade)
    assert (result.refused, result.failed) == ("", set())
    assert living.target == ""


@pytest.mark.parametrize("wanted", ["3.5.33", "3.6.14"])
def test_after_a_way_down_a_snapshot_of_the_lower_release_is_there(tmp_path, wanted):
    living = climbing(tmp_path, "3.7.1", wanted)
    result = run_deploy(living.hosts, upgrade, cli=True)
    assert (result.refused, result.failed) == ("", set())
    order = [event for _, event in living.events if event in {SNAPSHOT, "stop"}]
    assert order[-1] == SNAPSHOT

"""A restore before it begins: what forbids it, who must be proved stopped, and how far an earlier one came."""

import json
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward import elsewhere, restoring
from etcd_steward.desired import desired
from etcd_steward.drilling import Trial
from etcd_steward.identity import Identity
from etcd_steward.observed import Data, Endpoint, Process, Service
from etcd_steward.plan import decide
from etcd_steward.record import Record
from etcd_steward.restored import incoming, restored_already, staged_revision, unfinished
from etcd_steward.restoring import choose_restore
from etcd_steward.snapshots import Manifest
from etcd_steward.survivors import Log
from etcd_steward.wal import LogEnd
from tests.engine.fakes import World

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
LINE = json.dumps(
    {
        "written by": "etcd-steward",
        "file": "etcd-n1-r9.db",
        "sha256": "ab" * 32,
        "size": 20512,
        "revision": 9,
        "keys": 4,
        "hash": 1,
        "compact_revision": 1,
        "cluster": "etcd",
        "cluster_id": "cdf818194e3a8c32",
        "member": "n1",
        "version": "3.5.33",
        "time": "2026-07-21T03:19:00Z",
        "seconds": 1790000000,
        "origin": "backup",
    }
)


LISTED = ",".join(f"n{number}=https://198.18.99.{10 + number}:2380" for number in (1, 2, 3))


class Run:
    """As much of a run as choosing needs."""

    name = "etcd"

    def __init__(self, limit=HOSTS):
        self.hosts = dict.fromkeys(HOSTS)
        self._limit = set(limit)

    def limited(self):
        return self._limit


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch):
    monkeypatch.setattr(elsewhere, "ask", lambda *_: [LISTED])
    chosen = Trial(Manifest.read(LINE), None, "/backups/etcd-n1-r9.db", here=True)
    monkeypatch.setattr(restoring, "choose_trial", lambda *_, **__: (chosen, []))


def stopped(world, **settings):
    """See a cluster of which no member runs any more, and all have their data."""
    sight = world.sight()
    hosts = {
        host: replace(state, service=replace(state.service, running=False), endpoint=Endpoint(), processes=())
        for host, state in sight.hosts.items()
    }
    return configured(replace(sight, hosts=hosts, seen=None), **settings)


def lost(world, **settings):
    """See a cluster of which no member runs any more, and two of three have lost their data."""
    sight = stopped(world, **settings)
    for host in (N2, N3):
        sight = host_of(sight, host, data=Data("empty"))
    return sight


def configured(sight, **settings):
    members = [
        replace(one, settings=one.settings.model_copy(update=settings)) for one in sight.cluster.members
    ]
    return replace(sight, cluster=replace(sight.cluster, members=tuple(members)))


def host_of(sight, host, **changes):
    return replace(sight, hosts={**sight.hosts, host: replace(sight.hosts[host], **changes)})


def sentences(sight, run=None):
    return [str(one) for one in choose_restore(run or Run(), sight).complaints]


def test_a_lost_quorum_is_restored_with_a_fresh_token(world):
    first, second = (choose_restore(Run(), lost(world)) for _ in range(2))
    assert not first.complaints
    assert first.trial.manifest.revision == 9
    assert len({first.record.id, second.record.id, world.record.id}) == 3
    assert first.record.open
    assert not first.record.empty or not first.record.snapshot


def test_f42_a_cluster_that_answers_is_restored_only_by_its_id(world):
    sight = world.sight()
    assert len(sentences(sight)) == 1
    assert "a cluster that answers" in sentences(sight)[0]
    assert f"{sight.seen.id:016x}" not in sentences(sight)[0]
    assert sentences(configured(sight, etcd_restore_over="00000000000000aa"))
    assert not sentences(configured(sight, etcd_restore_over=f"{sight.seen.id:016x}"))


def test_a_host_without_an_answer_without_root_or_with_a_foreign_etcd_forbids_it(world):
    sight = lost(world)
    assert "no answer" in sentences(host_of(sight, N2, reached=False, problem="timed out"))[0]
    assert "root" in sentences(host_of(sight, N2, uid=1000))[0]
    other = Process(7, "/usr/bin/etcd", "/etc/other.yml")
    assert "an etcd that is not ours (process 7" in sentences(host_of(sight, N2, processes=(other,)))[0]
    unknown = Data("unknown", missing="/var/lib/etcd/member")
    assert "could not be read" in sentences(host_of(sight, N2, data=unknown))[0]
    assert "though this member had formed" in sentences(host_of(sight, N2, folders={}, formed=True))[0]


def test_all_members_are_restored_together(world):
    assert "--limit or --exclude" in sentences(lost(world), Run(limit=(N1,)))[0]


def test_f49_a_known_member_on_no_host_of_the_inventory_must_be_named(world, monkeypatch):
    url = world.cluster.members[0].peer_url
    monkeypatch.setattr(elsewhere, "ask", lambda *_: [f"n1={url},n9=https://192.0.2.9:2380"])
    sight = host_of(lost(world), N1, formed=True)
    (told,) = sentences(sight)
    assert "the known member n9 (https://192.0.2.9:2380)" in told
    assert told.endswith("etcd_restore_without=n9")
    assert not sentences(configured(sight, etcd_restore_without=["n9"]))


@pytest.mark.parametrize("runtime", [{}, {"etcd_runtime": "static_pod"}], ids=["service", "static pod"])
def test_the_last_list_of_members_is_read_from_what_etcd_is_started_with(tmp_path, runtime):
    world = World(tmp_path / "controller", init="systemd", **runtime)
    member = world.cluster.members[0]
    state = world.sight().hosts[member.host]
    wanted = desired(
        world.cluster, member, state, world.record, world.version, (world.authorities.client.pem,) * 2
    )
    path = tmp_path / "what etcd is started with"
    path.write_text(next(file.content for file in wanted.files if file.path == member.settings.config_path))
    done = subprocess.run(
        ["sh", "-c", elsewhere.members_question(str(path)) + ""], capture_output=True, text=True, check=True
    )
    (listed,) = [line.strip().strip("'\"") for line in done.stdout.splitlines()]
    assert sorted(listed.split(",")) == [f"{one.name}={one.peer_url}" for one in world.cluster.members]


def test_a_formed_host_that_tells_no_list_of_members_forbids_it(world, monkeypatch):
    monkeypatch.setattr(elsewhere, "ask", lambda _run, host, _: [] if host == N2 else [LISTED])
    (told,) = sentences(lost(world))
    assert told.startswith(f"{N2}: found no list of members in /etc/etcd/")
    # A cluster that answers tells its members itself.
    assert not elsewhere.elsewhere(Run(), world.sight())


def test_where_nothing_else_is_left_the_record_names_the_known_members(world):
    sight = lost(world)
    bare = {host: replace(state, data=Data("empty")) for host, state in sight.hosts.items()}
    assert elsewhere.known_elsewhere(replace(sight, hosts=bare), []) == {}
    moved = Record("etcd", "1", "etcd-aa", open=False, members={"n1": "00000000000000f1"})
    sight = replace(sight, hosts=bare, records={"the controller": moved})
    assert elsewhere.known_elsewhere(sight, []) == {"n1": "id 00000000000000f1"}


def begun(world, sight):
    record = replace(Record.new(world.cluster), snapshot=LINE)
    return record, replace(sight, records={"the controller": record})


def has(record, member):
    return Data("complete", Identity(int(record.members[member.name], 16), int(record.id, 16)))


def test_an_interrupted_restore_goes_on_host_by_host_with_the_same_token(world):
    record, sight = begun(world, stopped(world, etcd_snapshot="etcd-n1-r9.db"))
    first, second, third = sight.cluster.members
    waiting = f"{second.settings.etcd_data_dir}/member.{incoming(record)}"
    # On the second the log has been switched in already, which carries the ids; its database has not.
    sight = host_of(sight, first.host, data=has(record, first))
    sight = host_of(sight, second.host, data=has(record, second), aside=(waiting,))
    sight = host_of(sight, third.host, aside=(waiting,))
    restore = choose_restore(Run(), sight)
    assert not restore.complaints
    assert (restore.record, restore.resumed, restore.trial) == (record, True, None)
    assert restore.switched == {first.host}
    assert restore.staged == {second.host, third.host}


def staged_everywhere(record, sight):
    for member in sight.cluster.members:
        waiting = f"{member.settings.etcd_data_dir}/member.{incoming(record)}"
        sight = host_of(sight, member.host, aside=(waiting,))
    return sight


def test_old_members_that_answer_again_are_put_aside_only_with_consent_though_the_record_is_open(world):
    record, sight = begun(world, configured(world.sight(), etcd_snapshot="etcd-n1-r9.db"))
    sight = staged_everywhere(record, sight)
    assert "a cluster that answers" in sentences(sight)[0]
    # The first run was told the same.
    again = configured(sight, etcd_restore_over=f"{sight.seen.id:016x}")
    assert not sentences(again)
    assert choose_restore(Run(), again).resumed
    # Some are switched, and the others have a quorum by themselves.
    first = sight.cluster.members[0]
    mixed = host_of(sight, first.host, data=has(record, first), aside=())
    assert "a cluster that answers" in sentences(mixed)[0]


def test_the_restored_cluster_itself_needs_no_consent_to_be_finished(world):
    record, sight = begun(world, configured(world.sight(), etcd_snapshot="etcd-n1-r9.db"))
    for member in sight.cluster.members:
        sight = host_of(sight, member.host, data=has(record, member))
    sight = replace(sight, seen=replace(sight.seen, id=int(record.id, 16)))
    assert not sentences(sight)


def test_members_elsewhere_are_asked_for_until_something_is_switched(world, monkeypatch):
    url = world.cluster.members[0].peer_url
    monkeypatch.setattr(elsewhere, "ask", lambda *_: [f"n1={url},n9=https://192.0.2.9:2380"])
    record, sight = begun(world, lost(world, etcd_snapshot="etcd-n1-r9.db"))
    sight = staged_everywhere(record, sight)
    assert "the known member n9" in sentences(sight)[0]
    assert not sentences(configured(sight, etcd_restore_without=["n9"]))
    first = sight.cluster.members[0]
    assert not sentences(host_of(sight, first.host, data=has(record, first), aside=()))


# How a member may stand of which nobody heard that it answers, and whether that is a proof that it is in no quorum.
RUNS = Process(7, "/usr/local/bin/etcd", "/etc/etcd/conf.yml")
CONDITIONS = {
    "stopped": ({}, True),
    "without a leader": (
        {"processes": (RUNS,), "endpoint": Endpoint(status={"errors": ["etcdserver: no leader"]})},
        True,
    ),
    "slow": ({"processes": (RUNS,), "endpoint": Endpoint(error="context deadline exceeded")}, False),
    "slow after it told its leader": (
        {"processes": (RUNS,), "endpoint": Endpoint(status={"leader": 5})},
        False,
    ),
    "frozen": ({"processes": (RUNS,)}, False),
    "refusing": (
        {"processes": (RUNS,), "endpoint": Endpoint(untold="etcdserver: user name not found")},
        False,
    ),
    "refusing after a read": (
        {"processes": (RUNS,), "endpoint": Endpoint(healthy=True, denied="etcdserver: permission denied")},
        False,
    ),
    "unparsed": ({"processes": (RUNS,), "endpoint": Endpoint(healthy=True, denied="null")}, False),
    "starting": ({"service": Service(exists=True, running=True, word="activating (auto-restart)")}, False),
    "unseen": ({"blind": ("processes",)}, False),
}


def in_condition(world, sight, host, condition):
    changes = dict(CONDITIONS[condition][0])
    endpoint = changes.get("endpoint", Endpoint())
    if endpoint.status is not None:
        header = {"cluster_id": int(world.record.id, 16), "member_id": 1}
        changes["endpoint"] = replace(endpoint, status={"header": header, **endpoint.status})
    return host_of(sight, host, **changes)


@pytest.mark.parametrize("data", ["two disks lost", "all have data"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_nobody_is_restored_over_without_consent_but_on_a_proof(world, condition, data):
    _, proved = CONDITIONS[condition]
    sight = (lost if data == "two disks lost" else stopped)(world)
    sight = in_condition(world, sight, N2, condition)
    told = sentences(sight)
    assert bool(told) == (not proved or data == "all have data")
    # The consent by its id is enough, and no other's is.
    assert not sentences(configured(sight, etcd_restore_over=world.record.id))
    assert sentences(configured(sight, etcd_restore_over="00000000000000aa")) == told
    assert all(world.record.id in one for one in told)


@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.tuples(st.sampled_from(sorted(CONDITIONS)), st.booleans())] * 3))
def test_a_restore_needs_no_consent_only_where_each_member_is_proved_gone_and_data_lies_on_no_quorum(
    world, found
):
    sight = stopped(world)
    for host, (condition, lies) in zip(HOSTS, found, strict=True):
        own = sight.hosts[host].data if lies else Data("empty")
        sight = in_condition(world, host_of(sight, host, data=own), host, condition)
    proved = all(CONDITIONS[condition][1] for condition, _ in found)
    free = proved and sum(lies for _, lies in found) < 2
    assert free == (not sentences(sight))
    assert (sight.standing.value == "lost") == proved
    assert not sentences(configured(sight, etcd_restore_over=world.record.id))


def test_data_on_a_quorum_of_what_the_cluster_once_was_asks_for_consent_too(world):
    sight = lost(world)
    assert not sentences(sight)
    alone = replace(world.record, members={"n1": world.record.members["n1"]})
    (told,) = sentences(replace(sight, records={"the controller": alone}))
    assert told.endswith(f"--data etcd_restore_over={world.record.id}")


def test_half_of_a_members_data_counts_as_data(world):
    sight = host_of(lost(world), N2, data=Data("half", missing="the write-ahead log", size=1))
    assert f"on 2 of 3 hosts ({N1}, {N2})" in sentences(sight)[0]


def test_old_members_that_may_be_back_are_put_aside_only_with_consent_though_the_record_is_open(world):
    record, sight = begun(world, stopped(world, etcd_snapshot="etcd-n1-r9.db"))
    sight = staged_everywhere(record, sight)
    assert sentences(sight)
    assert not sentences(configured(sight, etcd_restore_over=world.record.id))
    # Where the new data has taken its place nothing is left to lose, whatever its members do.
    for member in sight.cluster.members:
        sight = host_of(sight, member.host, data=has(record, member), aside=(), processes=(RUNS,))
    assert not sentences(sight)


def test_an_interrupted_restore_that_lacks_its_snapshot_says_where_to_put_it(world):
    _, sight = begun(world, lost(world, etcd_snapshot="etcd-n1-r9.db", etcd_backup_dir="/nonexistent"))
    (told,) = sentences(sight)
    assert "no copy of etcd-n1-r9.db" in told
    assert "/nonexistent/etcd" in told


def test_another_snapshot_or_other_members_do_not_finish_an_interrupted_restore(world):
    record, sight = begun(world, lost(world, etcd_snapshot="other.db"))
    assert "run with --data etcd_snapshot=etcd-n1-r9.db" in sentences(sight)[0]
    forgotten = configured(sight, etcd_forget_cluster=record.id)
    assert unfinished(forgotten) is None
    assert not sentences(forgotten)
    renamed = replace(record, members={"x": "1"})
    sight = configured(
        replace(sight, records={"the controller": renamed}), etcd_snapshot="/backups/etcd-n1-r9.db"
    )
    assert "members x in the unfinished restore" in sentences(sight)[0]


def test_an_interrupted_restore_forbids_everything_else_until_it_is_finished(world):
    record, sight = begun(world, lost(world))
    plan = decide(sight.cluster, sight.hosts, sight.seen, sight.records)
    (told,) = map(str, plan.refusals)
    assert "a restore of etcd-n1-r9.db that was begun and not finished" in told
    assert "deploys/restore.py" in told
    # One host has the record already, the others still have that of the old cluster.
    mixed = {N1: record, N2: world.record}
    assert "begun and not finished" in str(decide(sight.cluster, sight.hosts, None, mixed).refusals[0])


def test_a_restored_cluster_is_not_restored_again_unless_its_id_is_typed_in(world):
    sight = world.sight()
    records = {N1: replace(world.record, id=f"{sight.seen.id:016x}", snapshot=LINE)}
    sight = replace(sight, records=records)
    for wanted in ("newest", "etcd-n1-r9.db", "backups/etcd/etcd-n1-r9.db"):
        assert restored_already(configured(sight, etcd_snapshot=wanted)) is not None
    assert restored_already(configured(sight, etcd_snapshot="other.db")) is None
    assert restored_already(configured(sight, etcd_snapshot="from:n1")) is None
    again = configured(sight, etcd_restore_over=f"{sight.seen.id:016x}")
    assert restored_already(again) is None
    the_same_command = configured(sight, etcd_restore_over="00000000000000aa")
    assert restored_already(the_same_command) is not None
    assert restored_already(replace(sight, seen=None)) is None


def reaching(monkeypatch, **indexes):
    ends = {f"@fake/{name}": LogEnd(3, index, 0, 3, 1, 8, 7) for name, index in indexes.items()}
    told = {host: Log("0-0.wal", end, "ab" * 32) for host, end in ends.items()}
    monkeypatch.setattr(restoring, "logs", lambda *_: (told, {}))


def test_whoever_holds_data_gives_it_whether_its_etcd_runs_or_not_and_only_without_a_quorum(
    world, monkeypatch
):
    reaching(monkeypatch, n1=9, n2=9, n3=9)
    survivor = configured(world.sight(), etcd_snapshot="from:n1")
    assert any("a cluster with a quorum" in told for told in sentences(survivor))
    restore = choose_restore(Run(), lost(world, etcd_snapshot="from:n1"))
    assert (restore.survivor.name, restore.complaints) == ("n1", ())
    for condition in ({}, {"processes": world.sight().hosts[N1].processes}):
        sight = host_of(lost(world, etcd_snapshot="from:n1"), N1, **condition)
        assert choose_restore(Run(), sight).survivor.name == "n1"
    for data in (Data("empty"), Data("half", None, "the database (member/snap/db)")):
        found = sentences(host_of(lost(world, etcd_snapshot="from:n1"), N1, data=data))
        assert any("no whole data" in one for one in found)
    assert "no host n7" in sentences(lost(world, etcd_snapshot="from:n7"))[0]


def test_of_several_who_hold_data_the_furthest_gives_it_and_consent_to_the_restore_is_none_to_this(
    world, monkeypatch
):
    reaching(monkeypatch, n1=11, n2=9, n3=11)
    number = f"{world.sight().hosts[N2].data.identity.cluster:016x}"
    sight = stopped(world, etcd_snapshot="from:n2", etcd_restore_over=number)
    (told,) = sentences(sight)
    assert "@fake/n1: term 3, index 11 (furthest), @fake/n3: term 3, index 11 (furthest)" in told
    assert "etcd_snapshot=from:n1" in told
    restore = choose_restore(Run(), configured(sight, etcd_snapshot="from:n3"))
    assert not restore.complaints
    assert any("index 11 (furthest)" in note for note in restore.notes)
    # One that cannot be read is told, and hinders nobody.
    monkeypatch.setattr(restoring, "logs", lambda *_: ({}, {N1: "no", N2: "no"}))
    restore = choose_restore(Run(), sight)
    assert not restore.complaints
    assert sum("cannot be compared" in note for note in restore.notes) == 2


@pytest.mark.parametrize(
    ("proof", "revision"),
    [('{"hash":1,"revision":1000000023,"totalKey":28}', 1000000023), ("Error: x", None)],
)
def test_the_revision_of_restored_data_is_read_from_json_alone(proof, revision):
    assert staged_revision(proof) == revision


OLD = ",".join(f"n{number}=https://203.0.113.{number}:2380" for number in (1, 2, 3))


def answering(monkeypatch, said):
    """Let whoever is asked for the members tell their old addresses, and old addresses say something when they are tried."""

    def ask(_run, _host, question):
        if "for peer in $peers" not in question + "":
            return [OLD]
        return [f"peer https://203.0.113.{number}:2380 {said}" for number in (1, 2, 3)] if said else []

    monkeypatch.setattr(elsewhere, "ask", ask)


def test_members_whose_data_lies_on_these_hosts_are_known_to_be_there_whatever_their_addresses_were(
    world, monkeypatch
):
    number = f"{world.sight().hosts[N1].data.identity.cluster:016x}"
    sight = stopped(world, etcd_snapshot="from:n1", etcd_restore_over=number)
    reaching(monkeypatch, n1=9, n2=9, n3=9)
    answering(monkeypatch, "Error while dialing: dial tcp 203.0.113.1:2380: connect: no route to host")
    assert sentences(sight) == []
    # One that has no data here may run anywhere.
    (told,) = sentences(host_of(sight, N3, data=Data("empty")))
    assert "the known member n3" in told


@pytest.mark.parametrize(
    "said", ["rpc error: code = Unimplemented", "x509: certificate signed by unknown", ""]
)
def test_an_old_address_at_which_somebody_answers_or_that_nobody_could_try_forbids_it(
    world, monkeypatch, said
):
    number = f"{world.sight().hosts[N1].data.identity.cluster:016x}"
    sight = stopped(world, etcd_snapshot="from:n1", etcd_restore_over=number)
    reaching(monkeypatch, n1=9, n2=9, n3=9)
    answering(monkeypatch, said)
    told = sentences(sight)
    assert len(told) == 3
    assert all("where n" in one for one in told)
    assert sentences(configured(sight, etcd_restore_without=["n1", "n2", "n3"])) == []

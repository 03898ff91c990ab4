"""All the work of one run: in which order, with which release, and what speaks against it."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from etcd_steward.credentials import Credentials
from etcd_steward.job import Scope, make_job
from etcd_steward.objections import reasons_against
from etcd_steward.observed import see_cluster
from etcd_steward.parsing import parse_probe
from etcd_steward.plan import decide
from etcd_steward.record import Record
from etcd_steward.run import Sight
from etcd_steward.versions import Version
from etcd_steward.work import ROLES, Work
from tests.engine.fakes import World

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def look(world, cluster=None, records=None, **lines):
    """See a world as a run would; lines by host name without connector, where they are not the world's."""
    cluster = cluster or world.cluster
    states = {}
    for host in world.hosts:
        told = lines.get(host.rpartition("/")[2], world.hosts[host].lines)
        states[host] = replace(
            parse_probe(host, told), host=host, sent=time.time() - 60, received=time.time() + 60
        )
    seen, _ = see_cluster(states)
    found = {host: record for host, state in states.items() if (record := Record.read(state.record))}
    return Sight(
        cluster, states, seen, found if records is None else records, Credentials.look(cluster, states)
    )


def make(sight, now=NOW, scope=None, record=None):
    plan = decide(sight.cluster, sight.hosts, sight.seen, sight.records)
    return make_job(sight, plan, now, record, scope)


def sentences(job):
    return [str(complaint) for complaint in reasons_against(job)]


def with_settings(world, **changes):
    """Give the world's cluster with other settings on all hosts."""
    members = [
        replace(one, settings=one.settings.model_copy(update=changes)) for one in world.cluster.members
    ]
    return replace(world.cluster, members=tuple(members))


SLOWER = {"etcd_config": {"heartbeat-interval": 200, "election-timeout": 2000}}


def test_a_converged_cluster_has_no_job(world):
    job = make(look(world))
    assert not job.changes
    assert (job.order, job.joins, job.gate, job.problems) == ((), (), False, ())
    assert sentences(job) == []


def test_followers_have_their_turn_before_the_leader(world):
    assert make(look(world, with_settings(world, **SLOWER))).order == (N2, N3, N1)


@pytest.mark.parametrize("leader", [0, 1, 2])
def test_f19_the_leader_is_last_whoever_it_is(world, leader):
    lines = {
        f"n{number}": world.lines(f"@fake/n{number}", leader=world.cluster.members[leader])
        for number in (1, 2, 3)
    }
    assert make(look(world, with_settings(world, **SLOWER), **lines)).order[-1] == HOSTS[leader]


@pytest.mark.parametrize("condition", ["stopped", "unhealthy"])
def test_members_that_are_down_have_their_turn_first(world, condition):
    sight = look(world, with_settings(world, **SLOWER), n3=world.lines(N3, condition))
    assert make(sight).order == (N3, N2, N1)


def test_only_members_with_something_to_do_have_a_turn(world):
    lines = [line for line in world.lines(N2) if "/etc/etcd/pki/peer" not in line]
    job = make(look(world, n2=lines))
    assert job.order == (N2,)
    assert job.changes


def test_the_running_release_is_followed_whatever_the_setting_says(world):
    job = make(look(world, with_settings(world, etcd_version="3.5.32")))
    assert {wanted.version for wanted in job.wanted.values()} == {world.version}
    assert not job.changes


def test_a_stopped_member_keeps_the_release_that_it_is_linked_to(world):
    lines = [
        line.replace(f"/{world.version}/", "/3.5.30/") if line.startswith("link ") else line
        for line in world.lines(N3, "stopped")
    ]
    assert make(look(world, n3=lines)).wanted[N3].version == Version(3, 5, 30)


def test_who_begins_anew_follows_the_others_whatever_an_earlier_life_has_linked(world):
    lines = [
        line.replace(f"/{world.version}/", "/3.5.30/") if line.startswith("link ") else line
        for line in world.lines(N3, "stopped")
        if not line.startswith("data ")
    ]
    assert make(look(world, n3=lines)).wanted[N3].version == world.version


def test_a_member_without_a_release_gets_that_of_the_others(world):
    lines = [line for line in world.lines(N3, "stopped") if not line.startswith(("link ", "release "))]
    sight = look(world, with_settings(world, etcd_version="3.5.32"), n3=lines)
    assert make(sight).wanted[N3].version == world.version


def test_a_new_cluster_gets_the_release_of_the_settings(tmp_path):
    fresh = World(tmp_path, formed=False, etcd_version="3.5.32")
    job = make(look(fresh))
    assert {wanted.version for wanted in job.wanted.values()} == {Version(3, 5, 32)}
    assert job.gate
    assert job.record.open


def test_an_upgrade_brings_every_member_to_its_target(world):
    job = make(look(world), scope=Scope(target=Version(3, 5, 34)))
    assert {wanted.version for wanted in job.wanted.values()} == {Version(3, 5, 34)}
    assert all(left.stage and left.link and left.restart for left in job.works.values())


def test_a_renewal_touches_nothing_but_certificates(world):
    sight = look(world, with_settings(world, **SLOWER))
    assert not make(sight, scope=Scope(certificates_only=True)).changes
    job = make(sight, scope=Scope(certificates_only=True, renew_all=True))
    for left in job.works.values():
        assert set(left.certificates) == set(ROLES)
        assert replace(left, certificates={}, turn=False) == Work()


def test_the_closed_record_is_the_clusters_where_records_differ(world):
    records = {"the controller": replace(world.record, open=True), N1: world.record}
    job = make(look(world, records=records))
    assert job.record == world.record
    assert not job.gate


def test_a_cluster_whose_record_was_lost_everywhere_gets_one_with_its_real_id(world):
    lines = {
        f"n{number}": [line for line in world.lines(f"@fake/n{number}") if not line.startswith("record")]
        for number in (1, 2, 3)
    }
    job = make(look(world, records={}, **lines))
    assert (job.record.id, job.record.open, job.record.cluster) == (world.record.id, False, "etcd")
    assert all(not left.restart for left in job.works.values())


def test_the_record_that_was_opened_in_this_run_is_kept(tmp_path):
    fresh = World(tmp_path, formed=False)
    sight = look(fresh)
    first = make(sight)
    assert make(sight).record != first.record
    assert make(sight, record=first.record).record == first.record


def test_the_same_sight_has_the_same_essence_and_a_changed_one_has_not(world):
    assert make(look(world)).essence() == make(look(world)).essence()
    before = make(look(world, with_settings(world, **SLOWER)))
    after = make(look(world, with_settings(world, **SLOWER), n2=world.lines(N2, "stopped")))
    assert before.essence() != after.essence()


def test_a_change_needs_every_host_within_reach_and_says_what_is_to_be_done(world):
    (told,) = sentences(make(look(world, with_settings(world, **SLOWER), n3=[])))
    assert told.startswith(
        f"{N3}: found no answer (the probe's answer was cut short), wanted every member within reach"
    )
    assert "what has to be done: @fake/n1: /etc/etcd/conf.yml; @fake/n2: /etc/etcd/conf.yml" in told
    assert sentences(make(look(world, n3=[]))) == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_restart_that_loses_the_quorum_needs_consent(tmp_path, count):
    small = World(tmp_path, tuple(f"n{number}" for number in range(1, count + 1)), etcd_allow_even=True)
    (told,) = sentences(make(look(small, with_settings(small, **SLOWER))))
    assert (
        f"found {count} voters, so that a restart loses the quorum, wanted consent, or at least 3 voters"
        in told
    )
    assert sentences(make(look(small, with_settings(small, etcd_allow_outage=True, **SLOWER)))) == []


def test_a_certificate_alone_needs_no_consent(tmp_path):
    single = World(tmp_path, ("n1",))
    lines = [line for line in single.lines(N1) if "/etc/etcd/pki/peer" not in line]
    assert sentences(make(look(single, n1=lines))) == []


def test_f17_a_wrong_clock_matters_only_where_a_certificate_is_made(world):
    wrong = [f"now {int(time.time()) + 3600}" if line.startswith("now") else line for line in world.lines(N2)]
    assert sentences(make(look(world, n2=wrong))) == []
    missing = [line for line in wrong if "/etc/etcd/pki/peer" not in line]
    (told,) = sentences(make(look(world, n2=missing)))
    assert re.match(
        rf"{N2}: found a clock 35\d\d s ahead of the controller's, wanted at most 2 s; next: set etcd_time_sync",
        told,
    )
    later = make(look(world, with_settings(world, etcd_time_sync=True), n2=missing))
    assert not [told for told in sentences(later) if "clock" in told]


def test_another_controller_without_the_authorities_goes_on_until_something_has_to_be_signed(world, tmp_path):
    elsewhere = with_settings(world, etcd_pki_dir=str(tmp_path))
    assert sentences(make(look(world, elsewhere))) == []
    missing = [line for line in world.lines(N2) if "/etc/etcd/pki/peer" not in line]
    (told,) = sentences(make(look(world, elsewhere, n2=missing)))
    assert (
        f"{N2}: found certificates to be made (peer: there is none), but no authority in {tmp_path}/etcd"
        in told
    )
    assert "wanted the keys of the authority that the hosts carry (SHA-256 " in told


def test_f33_settings_that_the_running_release_would_ignore_are_refused(world):
    lines = {f"n{number}": world.lines(f"@fake/n{number}", version="3.4.44") for number in (1, 2, 3)}
    config = {"experimental-compact-hash-check-enabled": True}
    told = sentences(make(look(world, with_settings(world, etcd_config=config), **lines)))
    assert [text.partition(":")[0] for text in told] == list(HOSTS)
    assert (
        "wanted keys that etcd 3.4.44 knows, which this member runs; next: correct etcd_config; or, where it is written for the release that is to come, run deploys/upgrade.py at once, which brings both"
        in told[0]
    )


@pytest.mark.parametrize("version", ["3.6.0-rc.3", "3.5.30+local"])
def test_what_is_no_release_is_refused(world, version):
    lines = [
        line.replace(f'"version": "{world.version}"', f'"version": "{version}"') for line in world.lines(N2)
    ]
    (told,) = sentences(make(look(world, n2=lines)))
    assert told.startswith(
        f"{N2}: found etcd {version} running, which is no release, wanted a release such as 3.5."
    )


@pytest.mark.parametrize("machine", ["mips64", "", "riscv64"])
def test_f46_a_machine_without_releases_is_refused(world, machine):
    lines = [f"machine {machine}" if line.startswith("machine") else line for line in world.lines(N2)]
    (told,) = sentences(make(look(world, n2=lines)))
    assert told.startswith(f"{N2}: found the architecture {machine}, wanted amd64 or arm64; next: ")


def test_expiring_certificates_are_the_job_of_their_last_days(world):
    assert not make(look(world), now=NOW + timedelta(days=600)).changes
    assert make(look(world), now=NOW + timedelta(days=700)).order == (N2, N3, N1)

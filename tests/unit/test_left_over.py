"""What a run finds refused when it looks again at its end."""

from dataclasses import replace
from types import SimpleNamespace

from etcd_steward.converge import Converge
from etcd_steward.job import make_job
from tests.engine.fakes import World

HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")


def test_a_refusal_that_is_about_the_cluster_fails_every_host_of_the_run(tmp_path):
    world = World(tmp_path)
    sight = world.sight()
    run = SimpleNamespace(name="etcd", hosts=dict.fromkeys(HOSTS), limited=lambda: set(HOSTS[:2]))
    converge = Converge(run)
    converge._rebuilt.append(make_job(sight, sight.decide(), world.now))
    assert converge._left_over(sight) == ({}, {})
    records = {**sight.records, HOSTS[2]: replace(world.record, id="00000000000000aa")}
    refused, _ = converge._left_over(replace(sight, records=records))
    assert set(refused) == set(HOSTS[:2])
    assert all("more than one cluster id" in told for told in refused.values())

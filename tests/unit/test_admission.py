"""How a joining member is told who the others are."""

from __future__ import annotations

from pathlib import Path

from etcd_steward.admission import initial_cluster
from etcd_steward.observed import ListedMember
from tests.engine.fakes import World


def test_a_newcomer_is_told_the_members_of_now_and_not_those_still_to_come(tmp_path: Path) -> None:
    cluster = World(tmp_path, ("n1", "n2", "n3", "n4", "n5")).cluster
    newcomer = cluster.members[3]
    listed = [
        ListedMember(number, member.name, (member.peer_url,), (member.client_url,), learner=False)
        for number, member in enumerate(cluster.members[:3], 1)
    ]
    listed.append(ListedMember(4, "", (newcomer.peer_url,), (), learner=True))
    assert list(initial_cluster(listed, newcomer)) == ["n1", "n2", "n3", "n4"]
    assert initial_cluster(listed, newcomer)["n4"] == (newcomer.peer_url,)

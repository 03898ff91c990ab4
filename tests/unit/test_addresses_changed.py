"""All addresses changed at once: the members look for each other where nobody is."""

from tests.unit.plans import IDS, all_with_data, decided, host, hosts, make_cluster, refused, rows


def ran_with(address, names=("n1", "n2", "n3")):
    return ",".join(f"{name}=https://{address}.{number}:2380" for number, name in enumerate(names, 1))


def test_k_where_all_addresses_changed_at_once_nobody_is_started_and_the_way_is_a_restore_from_a_host():
    (told,) = refused(all_with_data(listed=ran_with("203.0.113")))
    assert "other addresses of all members" in told
    assert "https://203.0.113.1:2380" in told
    assert "deploys/restore.py --data etcd_snapshot=from:n1" in told


def test_where_one_address_stayed_or_nobody_knows_the_old_ones_the_members_are_started():
    cluster = make_cluster()
    stayed = ",".join(f"{one.name}={one.peer_url}" for one in cluster.members[:1])
    last = ",".join([stayed, *ran_with("203.0.113").split(",")[1:]])
    for words in (last, "", "odd", ",".join(f"{one.name}={one.peer_url}" for one in cluster.members)):
        plan = decided(all_with_data(listed=words), cluster=cluster)
        assert rows(plan) == dict.fromkeys(IDS, ("c", "start")), words
    # One alone looks for nobody.
    alone = make_cluster(1)
    plan = decided(hosts(host("n1", "n1", listed=ran_with("203.0.113"))), cluster=alone)
    assert rows(plan) == {"n1": ("c", "start")}

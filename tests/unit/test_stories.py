"""Failure stories of the field that are no single module's; docs/failures.md lists all of them."""

import re
import subprocess
from pathlib import Path

import pytest

import etcd_steward
from etcd_steward.desired import desired
from etcd_steward.observed import HostState
from etcd_steward.platforms import INITS
from etcd_steward.record import Record
from etcd_steward.settings import read_settings
from etcd_steward.shell import script
from etcd_steward.topology import build_cluster
from etcd_steward.versions import parse
from etcd_steward.work import ROLES, leaf_spec

REPO = Path(__file__).resolve().parents[2]
DATA = r"data_dir|wal_dir|/member|\.wal\b|cert_dir|\.pem"


def cluster_of(*names, **data):
    settings = {
        name: read_settings(name, {"etcd_address": f"10.0.0.{name[1:]}", **data})[0] for name in names
    }
    cluster, complaints = build_cluster("pi", settings, {}, {})
    assert complaints == []
    return cluster


def commands():
    """Give every line that this package may send to a host."""
    sources = [*(REPO / "templates").iterdir(), *(REPO / "operations").glob("*.py")]
    sources += Path(etcd_steward.__file__).parent.glob("*.py")
    for path in sources:
        for line in path.read_text().splitlines():
            yield path.name, line


def test_f01_no_command_that_goes_to_a_host_deletes_data_or_certificates():
    deletions = [
        (name, word)
        for name, line in commands()
        for told in re.findall(r"\b(?:rm -\w+|rmdir|shred)\b([^;&|]*)|(-delete)\b", line)
        for word in "".join(told).split()
    ]
    assert len(deletions) > 5, "the search finds what there is"
    # What a restore has staged, and nobody has used yet, ends in `.new-`.
    assert [found for found in deletions if re.search(DATA, found[1]) and ".new-" not in found[1]] == []


@pytest.mark.parametrize("role", ROLES)
def test_f13_a_certificate_names_its_own_member_alone_so_that_growth_makes_none_anew(role):
    small, large = cluster_of("n1", "n2", "n3"), cluster_of("n1", "n2", "n3", "n4", "n5")
    for member in small.members:
        spec = leaf_spec(member, role)
        assert spec == leaf_spec(large.member(member.host), role)
        others = {one.address for one in large.members} | {one.name for one in large.members}
        assert not set(spec.names) & (others - {member.address, member.name})


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_f47_a_process_gets_one_file_and_neither_flags_nor_variables_which_it_would_ignore(init, machine):
    cluster = cluster_of("n1", "n2", "n3")
    state = HostState("n1", reached=True, init=init, machine=machine)
    record = Record("pi", "cdf818194e3a8c32", "pi-3f9a01bc", open=False, members={})
    wanted = desired(cluster, cluster.member("n1"), state, record, parse("3.4.23"), ("a\n", "b\n"))
    (definition,) = [one for one in wanted.files if one.path == INITS[init].definition.format(name="etcd")]
    assert re.findall(r"/etcd (--.+?)\"?$", definition.content, re.MULTILINE) == [
        "--config-file=/etc/etcd/conf.yml"
    ]
    # The one variable that is read beside a file: whether the machine is supported (F46).
    assert set(re.findall(r"ETCD_\w+", definition.content)) <= {"ETCD_UNSUPPORTED_ARCH"}


@pytest.mark.parametrize(
    ("said", "proof"),
    [
        ("NAME:\n\tsnapshot - Manages etcd node snapshots", False),
        ('{"hash":1,"revision":7,"totalKey":9,"totalSize":20480}', True),
    ],
    ids=["help", "json"],
)
def test_f20b_the_help_text_of_an_unknown_command_is_no_proof_though_its_exit_status_is_0(
    tmp_path, said, proof
):
    (tmp_path / "etcdctl").write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    (tmp_path / "etcdctl").chmod(0o755)
    values = {
        "bin_dir": str(tmp_path),
        "folder": str(tmp_path),
        "endpoint": "x",
        "ca": "",
        "cert": "",
        "key": "",
    }
    taken = 'whole() { :; }; patient() { : >"$work/db"; }; work=$folder; once scheduled'
    question = script("ctl.sh", "snapshot.sh", **values) + f"\n{taken}"
    done = subprocess.run(["sh", "-c", question], capture_output=True, text=True, check=False)
    assert ("found a snapshot that cannot be read" in done.stdout) is not proof
    assert ("found no hash" in done.stdout) is proof, "the next question was asked"

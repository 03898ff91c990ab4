"""Another cluster of ours on a host is never called a stranger's, with advice to stop it."""

import re
import subprocess
from pathlib import Path

import pytest

from etcd_steward.configuration import HEADER
from etcd_steward.desired import MARKER
from etcd_steward.templating import text
from etcd_steward.verbs import etcd, restore
from tests.engine.fakes import World, run_deploy


@pytest.mark.parametrize("verb", [etcd, restore])
@pytest.mark.parametrize("ours", [True, False])
def test_k_a_member_of_our_other_cluster_is_named_and_nobody_is_told_to_stop_it(
    tmp_path: Path, verb: object, ours: bool
) -> None:
    world = World(tmp_path)
    lines = world.hosts["@fake/n2"].lines
    lines.insert(-1, "process 99 /usr/local/bin/etcd --config-file=/etc/etcd-main/conf.yml")
    if ours:
        lines.insert(-1, "ours 99")
    result = run_deploy(world.hosts, verb)
    told = next(line for line in result.refused.splitlines() if "process 99" in line)
    assert ("/etc/etcd-main/conf.yml" in told, "not ours" in told, "stop" in told) == (
        True,
        not ours,
        not ours,
    )


@pytest.mark.parametrize(("first", "ours"), [(HEADER, True), ("# somebody's\n", False), ("", False)])
def test_k_what_a_process_runs_from_tells_whose_it_is(tmp_path: Path, first: str, ours: bool) -> None:
    config = tmp_path / "conf.yml"
    config.write_text(f"{first}name: n1\n# Written by etcd-steward\n")
    (part,) = re.findall(r"^etcds \| while .*?^done$", text("probe.sh"), re.MULTILINE | re.DOTALL)
    pretended = (
        f"marker='{MARKER}'\nsay() {{ printf '%s\\n' \"$*\"; }}\n"
        f"etcds() {{ echo 7 /usr/bin/etcd --config-file={config}; }}\n"
    )
    told = subprocess.run(["sh", "-c", pretended + part], capture_output=True, text=True, check=False).stdout
    assert ("ours 7" in told.splitlines()) == ours
    assert told.startswith("process 7 /usr/bin/etcd --config-file=")

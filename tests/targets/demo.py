"""What scripts/demo does once Python is there: `python -m tests.targets.demo up|down|show`."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etcd_steward import versions

from . import hosts, images, mirror, programs
from .common import CommandError, docker, say, telling
from .hosts import Host, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

REPO = Path(__file__).resolve().parents[2]
NAME = os.environ.get("ETCD_DEMO", "demo")  # inventories/demo.py reads the same variable
FOLDER = REPO / ".state" / NAME
INVENTORY = FOLDER / "inventory.json"
PYINFRA = [sys.executable, "-m", "pyinfra", "-y", "inventories/demo.py"]
SHOWN = "pyinfra -y inventories/demo.py"
MEMBERS = {"etcd-1": "alpine", "etcd-2": "ubuntu", "etcd-3": "centos"}
# What is shown where neither GitHub nor Go modules can be had: it is known to be harmful.
LAST_RESORT = "3.5.1"
# A newcomer waits no longer for the release that is worth showing.
BUILD_SECONDS = 480


def up() -> int:
    """Start the hosts, or find them; converge them; show them.

    Returns:
        The exit status of the first command that failed, or 0.
    """
    hosts_data = _running() or _start()
    for host in hosts_data:
        title = images.title(host["family"])
        say(f"{host['name']}: {title}, {host['address']}, container {host['container']}")
    status = _converge()
    if status == 0:
        status = show()
    if status == 0:
        first = hosts_data[0]["container"]
        say(f"a member's own shell:  docker exec -it {first} sh -lc 'etcdctl member list -w table'")
        say("remove all of it:      scripts/demo --down")
    return status


def show() -> int:
    """Run the status verb."""
    say(f"{SHOWN} deploys/status.py")
    return subprocess.run([*PYINFRA, "deploys/status.py"], cwd=REPO, check=False).returncode


def down() -> None:
    """Remove the containers, their network, and the demo's folder with its authorities."""
    removed = hosts.remove_leftovers(NAME)
    shutil.rmtree(FOLDER)
    say(f"removed {removed} containers, their network, and {FOLDER.relative_to(REPO)}")


def _running() -> list[dict[str, Any]]:
    """Give the hosts of an earlier call, switched on; none where it was interrupted or they are gone."""
    if not INVENTORY.exists():
        return []
    found: list[dict[str, Any]] = json.loads(INVENTORY.read_text())["hosts"]
    there = docker("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    states = dict(line.split() for line in there)
    if not all(one["container"] in states for one in found):
        return []
    off = [one for one in found if states[one["container"]] != "running"]
    if off:
        with telling(f"switching {', '.join(one['name'] for one in off)} on"):
            for one in off:
                network, known_hosts = f"etcd-steward-{NAME}", FOLDER / "known_hosts"
                Host(**one, network=network, known_hosts=known_hosts).start()
    return found


def _start() -> list[dict[str, Any]]:
    """Start new hosts; what an interrupted call left is removed first."""
    lab = Lab(NAME, keep=True)
    if FOLDER.exists():
        down()
    elif docker("network", "ls", "-q", "--filter", f"name=^{lab.network}$"):
        raise CommandError(
            f"found a demo of another checkout, wanted none; next: scripts/demo --down there, or "
            f"python -m tests.targets clean {NAME}"
        )
    FOLDER.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_release)
        with telling("looking for the targets' images"):
            images.build_all(sorted(set(MEMBERS.values())))
        release = asked.result()
    with lab, telling("starting three hosts"):
        started = lab.start(MEMBERS)
    fields = ("name", "family", "address", "container")
    hosts_data = [{field: getattr(host, field) for field in fields} for host in started]
    INVENTORY.write_text(json.dumps({"hosts": hosts_data, "data": release}, indent=2))
    return hosts_data


def _release() -> dict[str, Any]:
    """Say what the demo shows and why: the default release, the newest of its line built here, or else an old one."""
    if mirror.upstream_answers():
        say(
            f"the demo shows etcd {versions.DEFAULT}, this package's default: upstream's archive, as GitHub answers"
        )
        return {}
    version, why = mirror.DEFAULT, "as GitHub does not answer"
    try:
        programs.build(mirror.MODULES[version], *mirror.PROGRAMS, seconds=BUILD_SECONDS)
        say(f"the demo shows etcd {version}, the newest of the default's line: built from Go modules, {why}")
    except CommandError as error:
        version = LAST_RESORT
        reason = str(error).strip().splitlines()[-1]
        say(f"the demo shows etcd {version} of PyPI, {why} and Go modules cannot be built here: {reason}")
    return {
        "etcd_version": version,
        "etcd_force_version": version == LAST_RESORT,
        "etcd_archive_dir": str(mirror.prepare(version)),
        "etcd_digests": "mirror",
    }


def _converge() -> int:
    say(f"{SHOWN} deploys/etcd.py")
    # With --json the results come as data on stdout, and the progress as always on stderr.
    done = subprocess.run(
        [*PYINFRA, "--json", "deploys/etcd.py"], cwd=REPO, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        say(f"deploys/etcd.py ended with status {done.returncode}")
        return done.returncode
    results = json.loads(done.stdout)["results"]
    changed = {host for operation in results["operations"] for host in operation["success"]}
    say(f"changed: {', '.join(sorted(changed))}" if changed else "no changes")
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second call out, as both would start the same hosts."""
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"another scripts/demo is at work on {NAME}; next: wait for it") from None
        yield


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.targets.demo", description="See scripts/demo.")
    parser.add_argument("command", choices=("up", "down"))
    try:
        with _alone():
            sys.exit(up() if parser.parse_args().command == "up" else down())
    except (CommandError, TimeoutError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

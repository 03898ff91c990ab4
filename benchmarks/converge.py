"""How long the first deploy of three members takes, and a rerun without changes; prints one line of figures.

.venv/bin/python benchmarks/converge.py [--family debian] [--connector ssh] [--reruns 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.targets import images, mirror  # noqa: E402
from tests.targets.hosts import Lab  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="debian")
    parser.add_argument("--connector", choices=["ssh", "docker"], default="ssh")
    parser.add_argument("--reruns", type=int, default=3)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab("benchmark") as lab,
        mirror.serve(versions=[mirror.DEFAULT]) as url,
    ):
        hosts = lab.start([(f"b{number}", options.family) for number in (1, 2, 3)])
        shared = {
            "etcd_version": mirror.DEFAULT,
            "etcd_mirror": url,
            "etcd_pki_dir": f"{folder}/pki",
            "etcd_cache_dir": f"{folder}/cache",
        }
        entries = []
        for host in hosts:
            own = {"etcd_name": host.name, "etcd_address": host.address, **shared}
            ssh = options.connector == "ssh"
            entries.append((host.name, {**host.ssh_data, **own}) if ssh else (host.docker_name, own))
        inventory = Path(folder) / "inventory.py"
        inventory.write_text(f"etcd = {entries!r}\n")
        first = timed(inventory)
        reruns = [timed(inventory) for _ in range(options.reruns)]
    print(
        f"{images.title(options.family)}, {options.connector}: first deploy to verified healthy {first:.1f} s, "
        f"rerun without changes {statistics.median(reruns):.2f} s (median of {options.reruns})",
    )
    return 0


def timed(inventory: Path) -> float:
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", str(inventory), "deploys/etcd.py"],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    return time.monotonic() - begun


if __name__ == "__main__":
    raise SystemExit(main())

"""Makes wal-heads.json anew: the beginnings of write-ahead logs as real releases write them.

Run by hand, from the checkout: `python -m tests.data.make_wal_heads`. Each release starts one member of a cluster of
three on loopback, which is enough: etcd writes its ids before it looks for the others. What it says of itself in its
log is kept beside the bytes. Another member, alone, is filled until its log has a second segment.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.targets import mirror

RELEASES = ("3.4.23", "3.5.1", "3.5.30")
HEAD = 512
CLUSTERS = {
    "ipv4": {"n1": "http://127.0.0.1:23801", "n2": "http://127.0.0.1:23802", "n3": "http://127.0.0.1:23803"},
    "ipv6": {"n1": "http://[::1]:23801", "n2": "http://[2001:db8::12]:2380", "n3": "http://[fd00::13]:2380"},
    "names": {"etcd01": "http://localhost:23801", "etcd02": "http://etcd02.example.org:2380"},
}
TOKEN = "pi-3f9a01bc"


def main() -> None:
    found = []
    for release in RELEASES:
        with tempfile.TemporaryDirectory() as folder:
            programs = _programs(release, Path(folder))
            for kind, urls in CLUSTERS.items():
                found.append({"release": release, "kind": kind, **_first_segment(programs, urls)})
            if release == RELEASES[-1]:
                found.append({"release": release, "kind": "second segment", **_second_segment(programs)})
    place = Path(__file__).with_name("wal-heads.json")
    place.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{place}: {len(found)} heads")


def _programs(release: str, folder: Path) -> Path:
    archive = mirror.prepare(release) / f"v{release}" / mirror.archive_name(release, "amd64")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.glob("etcd-v*"))


def _start(programs: Path, data: Path, urls: dict[str, str], *more: str) -> subprocess.Popen[str]:
    name, url = next(iter(urls.items()))
    argv = [
        *(programs / "etcd", "--name", name, "--data-dir", data, "--logger=zap", "--log-outputs=stderr"),
        *("--listen-peer-urls", url.replace("localhost", "127.0.0.1"), "--initial-advertise-peer-urls", url),
        *("--listen-client-urls=http://127.0.0.1:23791", "--advertise-client-urls=http://127.0.0.1:23791"),
        *("--initial-cluster", ",".join(f"{one}={at}" for one, at in urls.items())),
        *("--initial-cluster-token", TOKEN, "--initial-cluster-state=new", *more),
    ]
    return subprocess.Popen(list(map(str, argv)), stderr=subprocess.PIPE, text=True)


def _first_segment(programs: Path, urls: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as data, _start(programs, Path(data), urls) as process:
        assert process.stderr is not None
        try:
            member, cluster = _ids(process.stderr)
        finally:
            process.kill()
            process.stderr.close()
        return _entry(urls, member, cluster, Path(data))


def _ids(log: Any) -> tuple[str, str]:
    """Wait for the line in which etcd tells its ids."""
    told = []
    for line in log:
        told.append(line)
        entry = json.loads(line) if line.startswith("{") else {}
        if "local-member-id" in entry and "cluster-id" in entry:
            return entry["local-member-id"], entry["cluster-id"]
    raise SystemExit("".join(told))


def _second_segment(programs: Path) -> dict[str, Any]:
    urls = {"n1": "http://127.0.0.1:23801"}
    with tempfile.TemporaryDirectory() as data, _start(programs, Path(data), urls) as process:
        assert process.stderr is not None
        try:
            member, cluster = _ids(process.stderr)
            threading.Thread(target=process.stderr.read, daemon=True).start()
            filling = Path(data) / "value"
            filling.write_bytes(b"x" * 1_000_000)
            ctl = [programs / "etcdctl", "--endpoints=http://127.0.0.1:23791"]
            while len(list(Path(data).glob("member/wal/*.wal"))) < 2:
                with filling.open() as value:
                    subprocess.run(
                        [*ctl, "put", "filling"], stdin=value, check=True, stdout=subprocess.DEVNULL
                    )
        finally:
            process.kill()
        return _entry(urls, member, cluster, Path(data))


def _entry(urls: dict[str, str], member: str, cluster: str, data: Path) -> dict[str, Any]:
    newest = max(data.glob("member/wal/*.wal"))
    head = newest.read_bytes()[:HEAD]
    name = next(iter(urls))
    return {
        "segment": newest.name,
        "token": TOKEN,
        "peer_urls": urls,
        "name": name,
        "member_id": member,
        "cluster_id": cluster,
        "head": head.hex(),
    }


if __name__ == "__main__":
    main()

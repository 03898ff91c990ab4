"""The job that takes a snapshot, run for real over pretended tools: a snapshot lies there whole, or the job says why not."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from etcd_steward.shell import script

STATUS = '[{"Endpoint":"x","Status":{"header":{"cluster_id":1,"member_id":1,"revision":9},"version":"3.5.30","dbSize":512}}]'
ETCDCTL = f"""#!/bin/sh
case $* in
  *"endpoint status"*) echo '{STATUS}' ;;
  *"snapshot save"*) for to; do :; done; echo "$to" >>"$0.saved"; cp "${{0%/*}}/snapshot" "$to"; echo saved ;;
  *hashkv*) echo '[{{"HashKV":{{"header":{{"revision":9}},"hash":5,"compact_revision":1}}}}]' ;;
  *get*) echo '{{"header":{{}},"count":3}}' ;;
esac
"""
ETCDUTL = """#!/bin/sh
echo '{"hash":1,"revision":9,"totalKey":3}'
"""


class Job:
    """The job of one host, whose tools may be replaced."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.snapshots, self.data = (folder / name for name in ("bin", "snapshots", "data"))
        for one in (self.bin, self.snapshots, self.data):
            one.mkdir()
        content = b"a" * 512
        (self.bin / "snapshot").write_bytes(content + hashlib.sha256(content).digest())
        self.tool("etcdctl", ETCDCTL)
        self.tool("etcdutl", ETCDUTL)

    def tool(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, **more: str) -> tuple[int, str]:
        values: dict[str, str] = {
            "bin_dir": str(self.bin),
            "folder": str(self.snapshots),
            "data_dir": str(self.data),
            "command": f"echo command was run >{self.bin}/ran; cat $ETCD_SNAPSHOT >/dev/null",
            **dict.fromkeys(("ca", "cert", "key"), ""),
            **more,
        }
        text = script(
            "ctl.sh",
            "snapshot.sh",
            **values,
            endpoint="x",
            cluster="pi",
            member="n1",
            quorum="no",
            spare_mb=0,
            keep=3,
            days=1,
            hours=6,
        )
        # Whose folder it is matters elsewhere; tests need not be root's.
        done = subprocess.run(
            ["sh", "-c", f"{text + ''}\nready() {{ :; }}\nsnapshot by-hand"],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}"},
        )
        return done.returncode, done.stdout

    def left(self) -> list[str]:
        """Tell what lies in the folder: its files by their kind."""
        return sorted(path.suffix or path.name for path in self.snapshots.iterdir() if path.name != ".lock")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_snapshot_lies_beside_its_manifest_before_the_operators_command_is_run(job: Job) -> None:
    status, said = job.run()
    assert (status, job.left()) == (0, [".db", ".json"])
    assert json.loads(said.removeprefix("taken "))["revision"] == 9
    assert (job.bin / "ran").exists()


BROKEN = '#!/bin/sh\ncase $* in *{}) echo "mv: Input/output error" >&2; exit 1 ;; esac\nexec /bin/mv "$@"\n'


@pytest.mark.parametrize("what", [".db", ".json"])
def test_a_snapshot_that_cannot_be_put_in_its_place_is_told_and_leaves_nothing(job: Job, what: str) -> None:
    job.tool("mv", BROKEN.format(what))
    status, said = job.run()
    assert status != 0
    assert said.startswith(f"failed found that the snapshot could not be put into {job.snapshots} (mv: Input")
    assert "taken" not in said
    assert job.left() == []
    assert not (job.bin / "ran").exists()


def test_a_snapshot_that_was_cut_off_from_its_manifest_gets_it_from_the_next_run(job: Job) -> None:
    job.tool("mv", '#!/bin/sh\ncase $* in *.json) kill -9 0 ;; esac\nexec /bin/mv "$@"\n')
    status, _ = job.run()
    assert status == -9
    assert len(job.left()) == 2
    (cut,) = job.snapshots.glob("*.db")
    (job.bin / "mv").unlink()
    status, _ = job.run()
    assert (status, job.left()) == (0, [".db", ".db", ".json", ".json"])
    told = json.loads(cut.with_suffix(".json").read_text())
    assert (told["file"], told["sha256"]) == (cut.name, hashlib.sha256(cut.read_bytes()).hexdigest())


def test_what_was_cut_off_before_it_had_its_place_is_cleared_by_the_next_run(job: Job) -> None:
    job.tool("mv", '#!/bin/sh\ncase $* in *.db) kill -9 0 ;; esac\nexec /bin/mv "$@"\n')
    job.run()
    (job.bin / "mv").unlink()
    assert len(job.left()) == 1
    job.run()
    assert job.left() == [".db", ".json"]


def test_without_a_folder_of_its_own_nothing_is_saved_anywhere(job: Job) -> None:
    job.tool("mktemp", "#!/bin/sh\necho 'mktemp: No space left on device' >&2; exit 1\n")
    status, said = job.run()
    assert (status, job.left()) == (1, [])
    assert said.startswith(f"failed found no way to make a folder in {job.snapshots}, wanted one; next: ")
    assert not (job.bin / "etcdctl.saved").exists()


def test_a_manifest_that_cannot_be_written_is_told_as_such(job: Job) -> None:
    job.tool("etcdutl", f'{ETCDUTL}mkdir -p "${{3%/*}}/json"\n')
    status, said = job.run()
    assert (status != 0, job.left()) == (True, [])
    assert "found no way to write" in said
    assert "compaction" not in said


def test_an_operators_command_that_never_ends_is_ended_with_all_that_it_started(job: Job) -> None:
    # What it starts has its output open, so that the job would wait for it.
    ended, said = job.run(command="sleep 3600 & sleep 3600", patience="1")
    assert ended != 0
    assert "failed found no end of etcd_snapshot_command within 1 s" in said
    assert [line for line in said.splitlines() if line.startswith("taken ")]


def test_an_etcdctl_that_never_ends_is_ended(job: Job) -> None:
    job.tool("etcdctl", "#!/bin/sh\nexec sleep 3600\n")
    ended, said = job.run(longest="1")
    assert ended != 0
    assert "failed found no answer from x" in said

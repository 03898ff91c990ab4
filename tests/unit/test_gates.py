"""What members must answer before one of them is restarted with another release; 3.6 and 3.7 as etcd documents them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from etcd_steward import configuration, gates
from etcd_steward.gates import (
    Unsure,
    differing_hashes,
    downgrade_due,
    downgrading,
    not_migrated,
    read_status,
    strangers,
    stray_downgrade,
    v2_content,
)
from etcd_steward.observed import ListedMember
from etcd_steward.shell import script
from etcd_steward.versions import parse

if TYPE_CHECKING:
    from pathlib import Path


def answer(*hashes: int, compacted: tuple[int, ...] = (1, 1, 1)) -> str:
    return json.dumps(
        [
            {"Endpoint": f"e{number}", "HashKV": {"hash": value, "compact_revision": compacted[number]}}
            for number, value in enumerate(hashes)
        ]
    )


def test_f35_equal_hashes_differ_in_nothing_and_others_are_named() -> None:
    assert differing_hashes(answer(7, 7, 7), 3) == ""
    assert differing_hashes(answer(7, 7, 8), 3) == "e0: 00000007, e1: 00000007, e2: 00000008"


@pytest.mark.parametrize(
    "said", ["", "Error: context deadline exceeded", "{}", '[{"Endpoint": "e"}]', answer(7, 7)]
)
def test_no_answer_is_never_taken_for_agreement(said: str) -> None:
    with pytest.raises(Unsure, match="hashes"):
        differing_hashes(said, 3)


def test_hashes_since_different_compactions_are_no_sign_of_damage() -> None:
    with pytest.raises(Unsure, match="different compactions"):
        differing_hashes(answer(7, 7, 8, compacted=(5, 5, 1)), 3)


def test_f31_only_etcdutls_own_word_calls_a_v2_store_empty() -> None:
    assert v2_content(["v2store No custom content found in v2store."]) == ""
    assert v2_content(["v2store No custom content found in both v2store and WAL records."]) == ""
    assert "detected" in v2_content(["v2store Error: detected custom content in v2store"])
    # An unknown subcommand prints help and ends with status 0.
    assert "Usage" in v2_content(["v2store Usage:", "v2store   etcdutl [command]"])
    assert v2_content([]) == "no answer"


MEMBERS = [ListedMember(1, "n1", ("https://a:2380",), (), learner=False)]
STORED: dict[str, Any] = {"id": 1, "peerURLs": ["https://a:2380"], "name": "n1"}


def told(*stored: dict[str, Any]) -> list[str]:
    return strangers([json.dumps(one).encode() for one in stored], MEMBERS)


def test_f30_a_member_that_only_one_store_knows_is_named() -> None:
    assert told(STORED) == []
    assert told(STORED, {"id": 0xAB, "peerURLs": []}) == ["00000000000000ab only in the database"]
    assert told() == ["0000000000000001 only in the list"]


def test_f29_a_promoted_member_that_the_database_still_calls_a_learner_is_named() -> None:
    assert told(STORED | {"isLearner": True}) == ["0000000000000001 a learner only in the database"]
    assert told(STORED | {"peerURLs": ["https://b:2380"]}) == [
        "0000000000000001 at https://b:2380 in the database"
    ]
    with pytest.raises(Unsure, match="cannot be read"):
        strangers([b"\0\1"], MEMBERS)


def status(version: str, storage: str = "", **info: object) -> dict[str, Any]:
    told = {
        "header": {"cluster_id": 7, "member_id": 1},
        "version": version,
        "storageVersion": storage,
        "downgradeInfo": info,
    }
    return dict(read_status("n1", ["status " + json.dumps([{"Endpoint": "x", "Status": told}])]))


def test_a_way_down_that_is_under_way_is_read_from_any_member_that_can_tell() -> None:
    under_way = [status("3.5.33"), status("3.6.14", "3.5.0", enabled=True, targetVersion="3.5.0")]
    assert downgrading(under_way) == "3.5"
    assert downgrading([status("3.6.14", "3.6.0")]) == ""


def test_f8_a_downgrade_that_nobody_is_on_any_more_is_told_from_one_that_is_under_way() -> None:
    on_the_way = status("3.6.14", "3.5.0", enabled=True, targetVersion="3.5.0")
    assert stray_downgrade([on_the_way, on_the_way]) == "3.5"
    assert stray_downgrade([on_the_way, status("3.5.33")]) == ""
    assert stray_downgrade([status("3.6.14", "3.6.0")]) == ""
    ready = status("3.6.14", "3.6.0", enabled=True, targetVersion="3.6.0")
    assert stray_downgrade([ready]) == "", "etcd ends it by itself"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["untold Error: etcdserver: user name not found"],
        ['status {"level":"warn"}'],
        ["status []"],
        ["status null"],
        ['status [{"Status":{"header":{},"version":"3.6.14"}}]'],
        ['status [{"Status":{"header":{"member_id":1},"version":"master"}}]'],
    ],
)
def test_a_member_that_gives_no_readable_status_is_unsure_and_is_quoted(lines: list[str]) -> None:
    with pytest.raises(Unsure, match=r"^found no .*answer from n2 \(.+\)$"):
        read_status("n2", lines)


def test_no_member_goes_down_before_every_database_is_of_the_lower_line() -> None:
    ready = [status("3.6.14", "3.5.0"), status("3.5.33")]
    assert not_migrated(ready, parse("3.5.33")) == []
    late = [status("3.6.14", "3.6.0"), status("3.6.14", "3.5.0")]
    assert not_migrated(late, parse("3.5.33")) == ["0000000000000001 on 3.6.14 with a database of 3.6.0"]


def test_only_3_6_and_later_have_a_database_to_be_migrated() -> None:
    assert not downgrade_due([parse("3.5.16"), parse("3.4.23")], parse("3.4.23"))
    assert downgrade_due([parse("3.5.33"), parse("3.6.14")], parse("3.5.33"))
    assert not downgrade_due([parse("3.6.14")], parse("3.6.13"))


ETCDCTL = """#!/bin/sh
case "$*" in
  *"endpoint status"*) echo '[{"Status":{"header":{"revision":12}}},{"Status":{"header":{"revision":9}}}]' ;;
  *hashkv*) echo "$*" ;;
  *"downgrade validate 3.5") echo "Downgrade validate success, cluster version 3.6" ;;
  *"downgrade enable 3.5" | *"downgrade enable 3.3") echo "Downgrade enable success, cluster version 3.6" ;;
  *"downgrade cancel") echo "Downgrade cancel success, cluster version 3.6" ;;
  *) echo "Error: etcdserver: invalid downgrade target version" >&2; exit 1 ;;
esac
"""


def ask(tmp_path: Path, *fragments: str, **values: str) -> list[str]:
    (tmp_path / "etcdctl").write_text(ETCDCTL)
    (tmp_path / "etcdctl").chmod(0o755)
    text = script("ctl.sh", *fragments, bin_dir=str(tmp_path), ca="a", cert="b", key="c", **values)
    return subprocess.run(
        ["sh", "-c", text + ""], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_hashes_are_asked_for_at_a_revision_that_every_member_has(tmp_path: Path) -> None:
    lines = ask(tmp_path, "hashes.sh", endpoints="x,y")
    assert lines[0] == "revision 9"
    assert "hashkv --rev=9" in lines[1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("3.5", "agreed"),
        ("3.4", "refused Error: etcdserver: invalid downgrade target version"),
        ("3.3", "refused Error: etcdserver: invalid downgrade target version"),
        ("none", "agreed"),
    ],
)
def test_etcd_itself_is_asked_for_a_downgrade_and_never_without_its_validation(
    tmp_path: Path, line: str, told: str
) -> None:
    assert ask(tmp_path, "newest.sh", "downgrade.sh", endpoint="x", prefix="/nowhere", line=line) == [told]


ETCDUTL = """#!/bin/sh
[ "$1 $2 $3" = "check v2store --data-dir" ] || exit 0
echo '{"level":"info"}' >&2
ls "$4/member/wal" "$4/member/snap" | tr '\\n' ' '
echo
"""


def look_into_the_v2_store(tmp_path: Path, *names: str, etcdutl: str = ETCDUTL, cp: str = "") -> list[str]:
    """Run the look over a data folder with some files, where `cp` may be another one."""
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "bin").mkdir()
    for path, content in {"etcdutl": etcdutl, "bin/cp": cp}.items():
        if content:
            (tmp_path / path).write_text(content)
            (tmp_path / path).chmod(0o755)
    text = script(
        "ctl.sh",
        "enter.sh",
        "v2store.sh",
        etcdutl=str(tmp_path / "etcdutl"),
        data_dir=str(tmp_path / "data"),
        wal_dir=None,
        folder=str(tmp_path / "snapshots"),
    )
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", text + ""], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    assert list((tmp_path / "snapshots").iterdir()) == [], "the copy is gone"
    return done.stdout.splitlines()


LOG = ("member/wal/1.wal", "member/wal/0.tmp", "member/snap/1.snap", "member/snap/2.snap", "member/snap/db")


def test_the_v2_store_is_looked_for_in_a_copy_that_is_gone_afterwards(tmp_path: Path) -> None:
    (told,) = look_into_the_v2_store(tmp_path, *LOG)
    assert "1.wal" in told
    assert "1.snap" in told
    assert "db" not in told.split()
    assert "0.tmp" not in told
    data = tmp_path / "data"
    assert {str(one.relative_to(data)) for one in data.rglob("*") if one.is_file()} == set(LOG)


# Like that of 3.5: what it cannot find is clean.
CLEAN = "#!/bin/sh\necho No custom content found in both v2store and WAL records.\n"


@pytest.mark.parametrize(
    ("names", "failing"), [(LOG, ".wal"), (LOG, "1.snap"), (("member/snap/1.snap",), "nothing")]
)
def test_f31_a_copy_of_the_log_that_is_not_whole_is_no_proof_of_an_empty_v2_store(
    tmp_path: Path, names: tuple[str, ...], failing: str
) -> None:
    cp = f'#!/bin/sh\ncase $* in *{failing}*) echo "cp: Input/output error" >&2; exit 1 ;; esac\nexec /bin/cp "$@"\n'
    told = v2_content(look_into_the_v2_store(tmp_path, *names, etcdutl=CLEAN, cp=cp))
    assert told.startswith("no whole copy of the log in ")
    assert "cp: " in told


def test_a_raft_snapshot_that_etcd_removes_meanwhile_is_not_missed(tmp_path: Path) -> None:
    cp = '#!/bin/sh\ncase $* in *1.snap*) rm "$1" ;; esac\nexec /bin/cp "$@"\n'
    (told,) = look_into_the_v2_store(tmp_path, *LOG, cp=cp)
    assert "1.wal" in told
    assert "2.snap" in told
    assert "1.snap" not in told


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        (["detected custom v2 content in WAL records"], "'snapshot-count': 1"),
        (["detected custom content in v2store"], "write-only-skip-check"),
        (["detected custom v2 content in both v2store and WAL records"], "write-only-skip-check"),
        (
            ["detected custom v2 content in WAL records", "detected custom content in v2store"],
            "write-only-skip-check",
        ),
        (["no answer"], "run again"),
        (["no answer", "detected custom v2 content in WAL records"], "run again"),
    ],
)
def test_what_upstream_offers_against_v2_leftovers_is_told_in_settings_that_exist(
    said: list[str], setting: str
) -> None:
    cure = gates.v2_cure(said)
    assert setting in cure
    assert configuration.check({"snapshot-count": 1, gates.V2_KEY: gates.V2_SKIP}, parse("3.6.13")) == []

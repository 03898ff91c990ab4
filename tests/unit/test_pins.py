"""What maintainers are promised: what is carried is compared with upstream's sums, and a difference stops it."""

from __future__ import annotations

import http.server
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
import yaml

from etcd_steward import digests, pins, versions
from etcd_steward.releases import archive_name

if TYPE_CHECKING:
    from collections.abc import Iterator

REPO = Path(__file__).resolve().parents[2]
WORKFLOW = REPO / ".github/workflows/pins.yml"


class Answer(http.server.BaseHTTPRequestHandler):
    """Upstream: the sums of some releases, 404 for others, or a proxy that refuses everything."""

    table: ClassVar[dict[str, dict[str, str]]] = {}
    refuses = False

    def do_GET(self) -> None:
        release = self.path.split("/")[1].removeprefix("v")
        if self.refuses or release not in self.table:
            self.send_error(403 if self.refuses else 404)
            return
        version = versions.parse(release)
        lines = [f"{digest}  {archive_name(version, arch)}\n" for arch, digest in self.table[release].items()]
        self.send_response(200)
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Answer, "table", {release: dict(sums) for release, sums in digests.carried().items()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_is_carried_agrees_with_upstream(upstream: str) -> None:
    assert pins.main(["--from", upstream]) == pins.SAME


@pytest.mark.parametrize("other", ["0" * 64, None])
def test_a_sum_that_differs_or_is_gone_stops_it_and_nothing_is_written(
    upstream: str, tmp_path: Path, other: str | None
) -> None:
    table = tmp_path / "table.json"
    table.write_bytes(pins.TABLE.read_bytes())
    if other is None:
        del Answer.table["3.5.30"]["arm64"]
    else:
        Answer.table["3.5.30"]["arm64"] = other
    Answer.table["3.6.99"] = {"amd64": "1" * 64}
    assert pins.main(["--from", upstream, "--table", str(table), "--write"]) == pins.DIFFERS
    assert table.read_bytes() == pins.TABLE.read_bytes()


def test_a_release_that_upstream_took_back_is_a_difference(upstream: str) -> None:
    del Answer.table["3.6.11"]
    assert pins.main(["--from", upstream]) == pins.DIFFERS


def test_newer_releases_are_told_and_added_only_where_that_is_asked_for(
    upstream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.json"
    table.write_bytes(pins.TABLE.read_bytes())
    # 3.6.15 was left out here, as patch releases may be.
    Answer.table["3.6.16"] = {"amd64": "1" * 64, "arm64": "2" * 64, "s390x": "3" * 64}
    Answer.table["3.7.2"]["arm64"] = "4" * 64
    assert pins.main(["--from", upstream, "--table", str(table)]) == pins.SAME
    assert "3.6.16: not carried: amd64, arm64" in capsys.readouterr().out
    assert table.read_bytes() == pins.TABLE.read_bytes()
    assert pins.main(["--from", upstream, "--table", str(table), "--write"]) == pins.SAME
    written = json.loads(table.read_text())["sha256"]
    assert written["3.6.16"] == {"amd64": "1" * 64, "arm64": "2" * 64}
    assert written["3.7.2"] == {**digests.carried()["3.7.2"], "arm64": "4" * 64}
    assert {one: written[one] for one in digests.carried() if one != "3.7.2"} == {
        one: sums for one, sums in digests.carried().items() if one != "3.7.2"
    }


def test_upstream_out_of_reach_is_no_agreement_and_no_difference(
    upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answer, "refuses", True)
    assert pins.main(["--from", upstream]) == pins.UNREACHABLE
    assert pins.main(["--from", "http://127.0.0.1:9"]) == pins.UNREACHABLE
    assert pins.main(["--from", "/srv/mirror"]) == pins.UNREACHABLE
    assert len({pins.SAME, pins.DIFFERS, pins.UNREACHABLE, 2}) == 4


def test_the_scheduled_workflow_calls_scripts_that_exist() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    told = workflow[True]  # YAML 1.1 reads the key `on` so
    assert told["schedule"][0]["cron"].count(" ") == 4
    assert workflow["permissions"] == {"contents": "read"}
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert runs == ["scripts/pins"]
    for run in runs:
        assert os.access(REPO / run, os.X_OK)

"""What is promised about release archives."""

import hashlib
import http.server
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from etcd_steward import digests, downloads
from etcd_steward.releases import ReleaseError, archive_name, archive_url, obtain, pinned_digest
from etcd_steward.versions import NEWEST, Version, parse

VERSION = parse("3.5.30")
NAME = archive_name(VERSION, "amd64")
BODY = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BODY).hexdigest()


class Mirror(http.server.ThreadingHTTPServer):
    """Serves the files that a test puts into it, and counts what it is asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.cut = {}, [], set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, name, body):
        self.files[f"/v{VERSION}/{name}"] = body


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path in self.server.cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Mirror()
    server.put(NAME, BODY)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(mirror, tmp_path):
    def get(**options):
        given = {"mirror": mirror.url, "folder": None, "digest": SHA256, "cache": tmp_path / "cache"}
        return obtain(VERSION, "amd64", **{**given, **options})

    return get


def lying_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_archives_are_named_and_found_as_upstream_has_them():
    assert NAME == "etcd-v3.5.30-linux-amd64.tar.gz"
    upstream = "https://github.com/etcd-io/etcd/releases/download/v3.5.30/etcd-v3.5.30-linux-amd64.tar.gz"
    assert archive_url(None, VERSION, "amd64") == upstream
    assert archive_url("https://mirror.example.org/etcd/", VERSION, "arm64") == (
        "https://mirror.example.org/etcd/v3.5.30/etcd-v3.5.30-linux-arm64.tar.gz"
    )


def test_digests_of_upstream_are_pinned_by_version_and_architecture():
    digests = {pinned_digest(VERSION, "amd64"), pinned_digest(VERSION, "arm64")}
    assert len(digests) == 2
    assert all(downloads.DIGEST.fullmatch(digest) for digest in digests)
    assert pinned_digest(VERSION, "arm") is None
    assert pinned_digest(parse("3.5.1"), "amd64") is None


def test_where_a_digest_is_required_the_list_beside_an_archive_is_not_even_asked_for(mirror, tmp_path):
    version = parse("3.5.1")
    mirror.files[f"/v{version}/SHA256SUMS"] = f"{SHA256}  {archive_name(version, 'amd64')}\n".encode()
    for place in ({"mirror": mirror.url, "folder": None}, {"mirror": None, "folder": str(tmp_path)}):
        (tmp_path / archive_name(version, "amd64")).write_bytes(BODY)
        (tmp_path / "SHA256SUMS").write_text(f"{SHA256}  {archive_name(version, 'amd64')}\n")
        with pytest.raises(ReleaseError, match="wanted one, as etcd_require_digest is set"):
            obtain(version, "amd64", digest=None, cache=tmp_path / "cache", known_only=True, **place)
    assert mirror.asked == []


def test_where_a_digest_is_required_the_operators_and_the_carried_one_are_enough(get):
    assert get(known_only=True).sha256 == SHA256
    with pytest.raises(ReleaseError) as caught:  # what lies here is no archive of upstream's
        get(known_only=True, digest=None, digests="mirror")
    assert caught.value.wanted == pinned_digest(VERSION, "amd64")


def test_a_digest_that_is_given_belongs_to_etcd_version_or_to_the_release_that_it_names():
    by_release = {"3.5.34": {"amd64": "a" * 64}, "3.6.16": "b" * 64}
    assert digests.given("c" * 64, "3.6.16", "arm64", "3.6.16") == "c" * 64
    assert digests.given({"amd64": "c" * 64}, "3.6.16", "arm64", "3.6.16") is None
    assert digests.given("c" * 64, "3.5.34", "amd64", "3.6.16") is None
    assert digests.given(by_release, "3.5.34", "amd64", "3.6.16") == "a" * 64
    assert digests.given(by_release, "3.5.34", "arm64", "3.6.16") is None
    assert digests.given(by_release, "3.6.16", "arm64", "3.6.16") == "b" * 64
    assert digests.given(None, "3.6.16", "arm64", "3.6.16") is None


def test_an_archive_with_the_expected_digest_is_kept_in_the_cache(get, tmp_path):
    archive = get()
    assert archive.sha256 == SHA256
    assert archive.path.read_bytes() == BODY
    assert archive.path.name == NAME
    assert lying_in(tmp_path) == [NAME]
    assert archive.path.parent.stat().st_mode & 0o077 == 0


def test_the_digest_may_be_given_by_architecture_and_in_capitals(get):
    assert get(digest={"arm64": "0" * 64, "amd64": SHA256.upper()}).sha256 == SHA256


def test_a_verified_archive_is_used_again_without_network(get, mirror):
    first = get()
    mirror.shutdown()
    mirror.server_close()
    assert get() == first


def test_a_cached_archive_that_changed_is_laid_aside_and_fetched_again(get, mirror):
    archive = get()
    archive.path.write_bytes(b"rotten")
    assert get().path.read_bytes() == BODY
    assert archive.path.with_name(f"{NAME}.bad").read_bytes() == b"rotten"
    assert len(mirror.asked) == 2


def test_an_archive_with_a_wrong_digest_is_laid_aside_and_never_used(get, mirror, tmp_path):
    mirror.put(NAME, b"not etcd")
    found = hashlib.sha256(b"not etcd").hexdigest()
    for _ in range(2):
        with pytest.raises(
            ReleaseError, match=rf"^found SHA-256 {found} of http.*, wanted {SHA256}; next: do not use it"
        ):
            get()
    assert lying_in(tmp_path) == [f"{NAME}.bad"]


def test_a_rebuilt_archive_is_refused_against_the_pinned_digest(get, mirror):
    mirror.put("SHA256SUMS", f"{SHA256}  {NAME}\n".encode())
    with pytest.raises(ReleaseError, match=r"set etcd_digests = 'mirror' or etcd_sha256") as caught:
        get(digest=None)
    assert caught.value.wanted == pinned_digest(VERSION, "amd64")


@pytest.mark.parametrize("line", ["{}  {}\n", "{} *{}\n", "{}  ./{}\r\n"])
def test_a_mirror_that_is_believed_may_serve_its_own_builds(get, mirror, line):
    other = "0" * 64 + "  etcd-v3.5.30-linux-arm64.tar.gz\n"
    mirror.put("SHA256SUMS", (other + line.format(SHA256, NAME)).encode())
    assert get(digest=None, digests="mirror").sha256 == SHA256


def test_a_version_that_is_not_pinned_is_checked_against_the_list_of_the_mirror(mirror, tmp_path):
    version = parse("3.5.1")
    name = archive_name(version, "amd64")
    mirror.files = {f"/v3.5.1/{name}": BODY, "/v3.5.1/SHA256SUMS": f"{SHA256}  {name}\n".encode()}
    archive = obtain(version, "amd64", mirror=mirror.url, folder=None, digest=None, cache=tmp_path)
    assert archive.sha256 == SHA256


def test_without_a_digest_nothing_is_downloaded(mirror, tmp_path):
    with pytest.raises(
        ReleaseError, match=r"^found no SHA-256 of .*, wanted a digest.*; next: set etcd_sha256"
    ):
        obtain(
            parse("3.5.1"), "amd64", mirror=mirror.url, folder=None, digest={"arm64": SHA256}, cache=tmp_path
        )
    assert mirror.asked == ["/v3.5.1/SHA256SUMS"]
    assert lying_in(tmp_path) == []


def test_a_release_that_does_not_exist_is_answered_with_the_newest_of_its_line(mirror, tmp_path):
    mirror.files = {}
    newest = NEWEST["3.6"]
    for version, named in ((Version(3, 6, 99), True), (newest, False)):
        with pytest.raises(ReleaseError) as told:
            obtain(version, "amd64", mirror=mirror.url, folder=None, digest=None, cache=tmp_path)
        assert (f"a release that exists, such as {newest}" in str(told.value)) is named
        assert f"etcd_sha256 = {{'{version}': {{'amd64': " in str(told.value)


def test_a_malformed_digest_is_refused_before_anything_is_asked(get, mirror):
    with pytest.raises(ReleaseError, match="wanted 64 hexadecimal digits"):
        get(digest=SHA256[:-1])
    assert mirror.asked == []


def test_an_archive_that_the_mirror_lacks_is_told_with_its_address(get, mirror, tmp_path):
    mirror.files.clear()
    with pytest.raises(
        ReleaseError, match=rf"^found 404 Not Found at {mirror.url}/v3\.5\.30/{NAME}, wanted the file"
    ):
        get()
    assert lying_in(tmp_path) == []


def test_a_connection_that_ends_early_is_told_and_leaves_nothing(get, mirror, tmp_path):
    mirror.cut.add(f"/v{VERSION}/{NAME}")
    with pytest.raises(ReleaseError, match=rf"^found {len(BODY) // 2} bytes of .*, wanted {len(BODY)} bytes"):
        get()
    assert lying_in(tmp_path) == []


def test_a_mirror_that_does_not_answer_is_told(get):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ReleaseError, match=r"^found no answer from http.*refused.*set etcd_archive_dir"):
            get(mirror=f"http://127.0.0.1:{unused.getsockname()[1]}")


def test_a_mirror_that_falls_silent_is_given_up(get, monkeypatch):
    monkeypatch.setattr(downloads, "SILENCE_S", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ReleaseError, match=r"^found no answer from http.*timed out"),
    ):
        get(mirror=f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("address", ["ftp://mirror.example.org", "file:///srv/etcd", "mirror.example.org"])
def test_an_address_that_is_not_of_the_web_is_refused(get, address):
    with pytest.raises(ReleaseError, match="wanted an http or https address"):
        get(mirror=address)


def test_a_download_says_what_it_does_and_how_far_it_is(get, mirror, monkeypatch):
    monkeypatch.setattr(downloads, "REPORT_S", 0)
    said = []
    get(progress=said.append)
    assert said[0] == f"downloading {mirror.url}/v3.5.30/{NAME}"
    assert said[-1] == f"downloaded 1 of 1 MiB of {mirror.url}/v3.5.30/{NAME}"


@pytest.mark.parametrize("below", ["", "v3.5.30/"])
def test_a_folder_of_archives_needs_no_mirror(get, mirror, tmp_path, below):
    place = tmp_path / "archives" / below / NAME
    place.parent.mkdir(parents=True)
    place.write_bytes(BODY)
    assert get(folder=str(tmp_path / "archives")).path == place
    assert mirror.asked == []


def test_a_folder_that_is_believed_may_carry_its_own_digests(get, tmp_path):
    (tmp_path / NAME).write_bytes(BODY)
    (tmp_path / "SHA256SUMS").write_text(f"{SHA256}  {NAME}\n")
    assert get(folder=str(tmp_path), digest=None, digests="mirror").sha256 == SHA256


def test_an_archive_in_a_folder_with_a_wrong_digest_is_refused_and_left_alone(get, tmp_path):
    (tmp_path / NAME).write_bytes(b"not etcd")
    with pytest.raises(ReleaseError, match="next: do not use it"):
        get(folder=str(tmp_path))
    assert lying_in(tmp_path) == [NAME]


def test_a_folder_without_the_archive_is_told(get, tmp_path):
    with pytest.raises(ReleaseError, match=rf"^found no {NAME} in .*, wanted the release archive"):
        get(folder=str(tmp_path))


def test_hosts_that_ask_at_the_same_time_share_one_download(get, mirror):
    archives = []
    threads = [threading.Thread(target=lambda: archives.append(get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(archives) == 8
    assert len(set(archives)) == 1
    assert len(mirror.asked) == 1


def test_a_download_works_in_a_process_that_gevent_has_patched(mirror, tmp_path):
    script = f"""
from gevent import monkey; monkey.patch_all()
import gevent, pathlib
from etcd_steward import releases, versions
def get():
    return releases.obtain(
        versions.parse("3.5.30"), "amd64", mirror={mirror.url!r}, folder=None,
        digest={SHA256!r}, cache=pathlib.Path({str(tmp_path)!r}),
    )
jobs = [gevent.spawn(get) for _ in range(5)]
gevent.joinall(jobs, raise_error=True)
print(len({{job.value for job in jobs}}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert len(mirror.asked) == 1


def test_every_verb_has_what_it_uploads_obtained_before_it_changes_a_host() -> None:
    verbs = Path(__file__).resolve().parents[2] / "etcd_steward/verbs"
    given = [
        f"{path.name}: {line.strip()}"
        for path in sorted(verbs.glob("*.py"))
        for line in path.read_text().splitlines()
        if "obtain=" in line
    ]
    assert given
    assert [line for line in given if "obtain=due(" not in line and "obtain=obtain," not in line] == []

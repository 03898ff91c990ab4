"""What is promised about a mirror that sends without an end, too slowly, or says odd things."""

import http.server
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import downloads
from etcd_steward.downloads import Cures, ReleaseError, fetch

CURES = Cures("set etcd_download_url", "set etcd_sha256")
DIGEST = "0" * 64


@pytest.fixture
def serve():
    """Serve one answer on loopback; without an end it is what the last piece is."""
    servers = []

    def start(head, pieces):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                for name, value in head.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for piece in pieces():
                        self.wfile.write(piece)
                except OSError:
                    pass

            def log_message(self, *_args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/etcd.tar.gz"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ever():
    while True:
        yield b"x" * 4096


def test_a_file_without_an_end_is_given_up_and_nothing_of_it_stays(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 1 << 20)
    with pytest.raises(ReleaseError, match="more than 1 MiB"):
        fetch(serve({}, ever), tmp_path / "a", DIGEST, CURES, lambda _said: None)
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_sends_next_to_nothing_is_given_up(serve, tmp_path, monkeypatch):
    # Every look at the clock is half a minute after the last.
    seconds = iter(range(0, 10**9, 30))
    monkeypatch.setattr(downloads, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr(downloads, "LEAST_A_MINUTE", 1 << 30)
    with pytest.raises(ReleaseError, match="in 60 s"):
        fetch(serve({}, ever), tmp_path / "a", DIGEST, CURES, lambda _said: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", ["abc", "-1", "1e3", "٣", "9" * 5000, " "])
def test_an_odd_length_is_no_length_and_the_digest_judges(serve, tmp_path, told):
    url = serve({"Content-Length": told.encode().decode("latin-1")}, lambda: [b"content"])
    with pytest.raises(ReleaseError):
        fetch(url, tmp_path / "a", DIGEST, CURES, lambda _said: None)


@given(told=st.text(max_size=30))
def test_whatever_a_server_calls_a_length_only_refusals_are_raised(told):
    class Answer:
        def __init__(self):
            self.headers, self.pieces = {"Content-Length": told}, [b"content", b""]

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def read1(self, _size):
            return self.pieces.pop(0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("urllib.request.urlopen", lambda *_args, **_more: Answer())
        try:
            assert [chunk for chunk, _ in downloads._chunks("http://x/", CURES)] == [b"content"]
        except ReleaseError:
            assert told.isdigit()

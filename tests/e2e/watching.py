"""A client that watches every endpoint while something happens, and what the members' own logs tell of it."""

from __future__ import annotations

import http.client
import json
import math
import re
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.targets.common import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

PAUSE = 0.03
KNOCK_SECONDS = 5


class Span(NamedTuple):
    """A time in which a member was down."""

    name: str
    begin: float
    end: float
    why: str = ""


POD_PKI = "/etc/kubernetes/pki"  # of members that are static pods


def overlaps(spans: list[Span]) -> list[tuple[Span, Span]]:
    """Find the spans of different members that share some time."""
    return [
        (one, other)
        for index, one in enumerate(spans)
        for other in spans[index + 1 :]
        if one.name != other.name and one.begin < other.end and other.begin < one.end
    ]


def client_context(site: Site, host: Host, role: str = "client") -> ssl.SSLContext:
    """Make a TLS client that shows a pair of a host, as fetched by its operator."""
    folder = site.folder / f"{role}-of-{host.name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    there = site.own[host.name].get("etcd_cert_dir", "/etc/etcd/pki")
    paths = {kind: f"{there}/{kind}.pem" for kind in ("ca", role, f"{role}-key")}
    if site.settings.get("etcd_runtime") == "static_pod":
        assert role == "client", "of static pods the pair that is known here is the API server's"
        pair = f"{POD_PKI}/apiserver-etcd-client"
        paths = {"ca": f"{POD_PKI}/etcd/ca.crt", role: f"{pair}.crt", f"{role}-key": f"{pair}.key"}
    files: dict[str, Path] = {}
    for kind, path in paths.items():
        files[kind] = folder / f"{kind}.pem"
        files[kind].touch(mode=0o600)
        files[kind].write_text(host.read(path))
    context = ssl.create_default_context(cafile=str(files["ca"]))
    context.load_cert_chain(files[role], files[f"{role}-key"])
    return context


def context_of(authority: str, pair: str) -> ssl.SSLContext:
    """Make a TLS client from texts: whom it believes, and the certificate and key that it shows."""
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pair)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def rejected(site: Site, host: Host, port: int, context: ssl.SSLContext) -> str:
    """Try to be heard by a member, and return why it says that it did not listen."""
    with socket.create_connection((host.address, port), timeout=10) as plain:
        mine = "{}:{}".format(*plain.getsockname())
        try:
            with context.wrap_socket(plain, server_hostname=host.address) as encrypted:
                encrypted.sendall(b"GET /version HTTP/1.0\r\n\r\n")
                # With TLS 1.3 a client learns of its refusal only when it reads.
                answer = encrypted.recv(1000)
        except (ssl.SSLError, ConnectionError):
            answer = b""
    assert answer == b"", f"{host.name} listened to {mine}"
    reasons: list[str] = []

    def told() -> bool:
        entries = [line for line in site.log(host) if f'"{mine}"' in line and "rejected connection" in line]
        reasons.extend(str(json.loads(line).get("error")) for line in entries)
        return bool(reasons)

    wait_until(f"word of the rejected {mine} in the log of {host.name}", told, 20)
    return reasons[0]


def get(address: str, port: int, path: str, context: ssl.SSLContext, seconds: float = 2) -> tuple[int, bytes]:
    """Ask one endpoint over a new TLS connection."""
    connection = http.client.HTTPSConnection(address, port, timeout=seconds, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class _Beside:
    """Does something with every member, each in a thread of its own, until its block ends."""

    def __init__(self, site: Site, what: Callable[[Host], None]) -> None:
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=what, args=(host,), daemon=True) for host in site.hosts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


class Reconnecting(_Beside):
    """Greets every member over a new TLS connection, again and again, until its block ends.

    An endpoint that is just restarted may refuse the connection or drop it; that it answers and TLS fails is another thing.

    Args:
        site: the cluster.
        every: seconds between two connections to the same member.
    """

    def __init__(self, site: Site, every: float = 0.2) -> None:
        self.context = client_context(site, site.hosts[0])
        self.tls_failures: list[str] = []
        self.answers: Counter[str] = Counter()
        self.away: Counter[str] = Counter()
        self._every = every
        super().__init__(site, self._greet)

    def show(self, context: ssl.SSLContext) -> None:
        """Use another certificate, or believe another authority, from the next connection on."""
        self.context = context

    def _greet(self, host: Host) -> None:
        while not self._ended.wait(self._every):
            try:
                get(host.address, 2379, "/version", self.context)
                self.answers[host.name] += 1
            except ssl.SSLEOFError:
                self.away[host.name] += 1
            except ssl.SSLError as error:
                self.tls_failures.append(f"{host.name}: {error}")
            except (OSError, http.client.HTTPException):
                self.away[host.name] += 1


class Knocking(_Beside):
    """Knocks at every member's door, again and again, until its block ends, and notes when nobody is at home.

    A member is there when it answers anything at all over HTTP or TLS. `/version` needs neither quorum nor leader;
    `/health` reads through both, and so fails everywhere for a moment whenever leadership is handed over. Whether
    such a moment hurts anybody is what the writer knows.
    """

    def __init__(self, site: Site) -> None:
        self.away: list[Span] = []
        self.answers: Counter[str] = Counter()
        self._context = client_context(site, site.hosts[0])
        super().__init__(site, self._watch)

    def show(self, context: ssl.SSLContext) -> None:
        """Use another certificate, or believe another authority, from the next connection on."""
        self._context = context

    def _watch(self, host: Host) -> None:
        since: float | None = None
        while not self._ended.is_set():
            begin = time.monotonic()
            why = self._silent(host)
            if not why:
                self.answers[host.name] += 1
                since = None
            elif since is None:
                since = begin
                self.away.append(Span(host.name, begin, time.monotonic(), why))
            else:
                at = max(index for index, span in enumerate(self.away) if span.name == host.name)
                self.away[at] = Span(host.name, since, time.monotonic(), self.away[at].why)
            self._ended.wait(PAUSE)

    def _silent(self, host: Host) -> str:
        try:
            get(host.address, 2379, "/version", self._context, KNOCK_SECONDS)
        except ssl.SSLEOFError as error:  # it ends in the middle of the handshake
            return repr(error)
        except ssl.SSLError:  # it answers, though not as wanted
            return ""
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        return ""


def spans(site: Site, since: float, begins: str, ends: str | tuple[str, ...]) -> list[Span]:
    """Read from the members' logs from when to when each did something.

    Args:
        site: the cluster.
        since: seconds since 1970; earlier entries do not count.
        begins: how the message begins with which it starts.
        ends: how the message begins with which it ends, or how such messages begin.

    Returns:
        The spans in order of time; one that has not ended yet is infinite.
    """
    found = []
    for host in site.hosts:
        begin = None
        for line in site.log(host):
            try:
                entry = json.loads(line)
            except ValueError:  # one of the long ones, which do not count here
                continue
            at = _seconds(entry["ts"])
            if at < since:
                continue
            if entry["msg"].startswith(begins):
                begin = at if begin is None else begin
            elif entry["msg"].startswith(ends) and begin is not None:
                found.append(Span(host.name, begin, at))
                begin = None
        if begin is not None:
            found.append(Span(host.name, begin, math.inf))
    return sorted(found, key=lambda span: span.begin)


def restarts(site: Site, since: float) -> list[Span]:
    """Read from the members' logs from when to when each one's process was down.

    Args:
        site: the cluster.
        since: seconds since 1970; earlier restarts do not count.
    """
    # The first of the two is none of 3.4's.
    return spans(site, since, "received signal", ("ready to serve client requests", "serving client traffic"))


def _seconds(stamp: object) -> float:
    from datetime import datetime  # noqa: PLC0415 - only here

    # Before it has read its configuration etcd logs with its library's defaults, in plain seconds.
    return stamp if isinstance(stamp, float) else datetime.fromisoformat(str(stamp)).timestamp()


def started_with(site: Site, host: Host, key: str) -> str:
    """Read from a member's log the value that its process really has."""
    return re.findall(f'"{key}":"?([^",]+)', "\n".join(site.log(host)))[-1]

"""A client that writes while something happens, and afterwards looks whether anything acknowledged was lost."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.e2e.watching import Knocking, Span, client_context, overlaps, restarts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

PORT = 2379
PAUSE = 0.02
ASK_SECONDS = 3
READ_SECONDS = 30
# Every user meets members that restart. etcd elects within some multiples of its election timeout (1 s), a client waits
# ASK_SECONDS for a member that says nothing, and then asks the next; beyond all that a cluster without a quorum stands.
STALL_MS = 15_000
# What each verb cost its writer, for the end of the test run; with the test's report it comes from a worker as plain values.
TOLD: list[dict[str, str | int]] = []


@dataclass
class Report:
    """What a writer has seen.

    Args:
        acknowledged: writes that etcd confirmed.
        failed: tries that were not confirmed; each was repeated elsewhere with another key.
        longest_stall_ms: the longest time without a confirmed write.
        lost: keys whose confirmed value was not there in the end, and where it was looked for.
        disordered: keys whose revision was not above that of the write before, as linearizable writes must be.
        reasons: how often each kind of failure was met.
    """

    acknowledged: int = 0
    failed: int = 0
    longest_stall_ms: int = 0
    lost: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def served(self) -> Report:
        """Fail unless the promise to a user was kept: all that was acknowledged is there, in order, and no wait was long."""
        assert self.acknowledged, f"no write was acknowledged: {self}"
        assert not self.lost, f"lost {len(self.lost)} acknowledged writes: {self.lost[:5]} ({self.reasons})"
        assert not self.disordered, f"revisions went back: {self.disordered[:5]}"
        assert self.longest_stall_ms < STALL_MS, f"no write for {self.longest_stall_ms} ms ({self.reasons})"
        return self

    def told(self, what: str) -> Report:
        """Have the end of the test run print what this cost the writer."""
        TOLD.append(
            {
                "what": what,
                "acknowledged": self.acknowledged,
                "failed": self.failed,
                "lost": len(self.lost),
                "stall_ms": self.longest_stall_ms,
            }
        )
        return self

    @property
    def tls_failures(self) -> int:
        """How many tries TLS refused; a member that stops ends connections, also in the middle of a handshake."""
        return sum(
            count
            for reason, count in self.reasons.items()
            if "ssl" in reason.lower() and "SSLEOFError" not in reason
        )


class Writer:
    """Writes about fifty keys a second through all members in turn, until its block ends; then reads all back.

    Args:
        site: the cluster.
        reconnect: seconds after which a connection is closed and made anew; otherwise each is kept.
        seconds: how long it writes at most; a block that lasts longer fails.
        through: the members that are written to; otherwise all.
    """

    def __init__(
        self,
        site: Site,
        *,
        reconnect: float | None = None,
        seconds: float = 300,
        through: Sequence[Host] | None = None,
    ) -> None:
        self.report = Report()
        hosts = list(through or site.hosts)
        self._addresses = [site.address(host).strip("[]") for host in hosts]
        self._context = client_context(site, hosts[0])
        self._reconnect = reconnect
        self._seconds = seconds
        self._prefix = f"writer/{secrets.token_hex(4)}/"
        self._written: dict[str, str] = {}
        self._connections: dict[str, tuple[http.client.HTTPSConnection, float]] = {}
        self._first = threading.Event()
        self._ended = threading.Event()
        self._in_time = True
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        # What follows shall happen to a cluster that is being written to; a gateway answers 404 when it is young.
        assert self._first.wait(ASK_SECONDS * 3), f"no write was acknowledged: {self.report}"
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None:
            assert self._in_time, f"the block lasted longer than the {self._seconds} s of its writer"
            self._read_back()

    def show(self, context: ssl.SSLContext) -> None:
        """Use another certificate, or believe another authority, from the next connection on."""
        self._context = context

    def _write(self) -> None:
        begin = last = time.monotonic()
        before, number = 0, 0
        while not self._ended.is_set():
            now = time.monotonic()
            if now - begin > self._seconds:
                self._in_time = False
                return
            number += 1
            key, value = f"{self._prefix}{number:06}", secrets.token_hex(8)
            address = self._addresses[number % len(self._addresses)]
            revision = self._put(address, key, value)
            if revision is None:
                self.report.failed += 1
            else:
                self._written[key] = value
                self.report.acknowledged += 1
                if revision <= before:
                    self.report.disordered.append(f"{key}: {revision} after {before}")
                before = max(before, revision)
                self._stalled(last)
                last = time.monotonic()
                self._first.set()
            self._ended.wait(max(0.0, PAUSE - (time.monotonic() - now)))
        self._stalled(last)

    def _stalled(self, since: float) -> None:
        spent = round((time.monotonic() - since) * 1000)
        self.report.longest_stall_ms = max(self.report.longest_stall_ms, spent)

    def _put(self, address: str, key: str, value: str) -> int | None:
        try:
            answer = self._ask(address, "put", {"key": _base64(key), "value": _base64(value)})
            return int(answer["header"]["revision"])
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            self._close(address)
            kind = f"{address}: {type(error).__name__}: {error}"
            self.report.reasons[kind[:160]] += 1
            return None

    def _ask(
        self, address: str, method: str, question: dict[str, Any], seconds: float = ASK_SECONDS
    ) -> dict[str, Any]:
        connection = self._connection(address, seconds)
        connection.request("POST", f"/v3/kv/{method}", json.dumps(question))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise ValueError(f"status {answer.status}: {body[:80].decode(errors='replace')}")
        decoded: dict[str, Any] = json.loads(body)
        return decoded

    def _connection(self, address: str, seconds: float) -> http.client.HTTPSConnection:
        now = time.monotonic()
        kept = self._connections.get(address)
        if kept and (self._reconnect is None or now - kept[1] < self._reconnect):
            return kept[0]
        self._close(address)
        new = http.client.HTTPSConnection(address, PORT, timeout=seconds, context=self._context)
        self._connections[address] = (new, now)
        return new

    def _close(self, address: str) -> None:
        kept = self._connections.pop(address, None)
        if kept:
            kept[0].close()

    def _read_back(self) -> None:
        """Read all keys from every member that answers; at least one must."""
        answers = 0
        question = {"key": _base64(self._prefix), "range_end": _base64(self._prefix[:-1] + "0")}
        for address in self._addresses:
            self._close(address)
            try:
                listed = self._ask(address, "range", question, READ_SECONDS).get("kvs", [])
            except (OSError, http.client.HTTPException, ValueError):
                continue
            finally:
                self._close(address)
            answers += 1
            found = {_text(entry["key"]): _text(entry.get("value", "")) for entry in listed}
            self.report.lost += [
                f"{key} on {address}" for key, value in self._written.items() if found.get(key) != value
            ]
        assert answers, "no member could be read from in the end"


class Served:
    """Whoever uses a cluster while its members restart: somebody writes, somebody knocks at every door, and the logs tell.

    A block that ends well has kept the promise to them, which is: no acknowledged write is lost, no wait for the next one
    is long, and no two members are down at once, neither as processes, by their own logs, nor for whoever knocks. That a
    read meets a moment without a leader is no part of it.

    Args:
        site: the cluster.
        logs: the members' logs tell when a process was down; those of a pod go with the pod, so there who knocks tells alone.
        options: as `Writer` takes them.
    """

    def __init__(self, site: Site, *, logs: bool = True, **options: Any) -> None:
        self.writer = Writer(site, **options)
        self.knocking = Knocking(site)
        self.restarts: list[Span] = []
        self._site = site
        self._logs = logs
        self._since = time.time()

    def __enter__(self) -> Self:
        self.writer.__enter__()
        self.knocking.__enter__()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.knocking.__exit__(kind, *rest)
        self.writer.__exit__(kind, *rest)
        if kind is None:
            self.look()
            self.report.served()
            assert overlaps(self.restarts) == [], "two processes are down at once"
            assert overlaps(self.away) == [], "two members are away at once"
            assert {host.name for host in self._site.hosts} == set(self.knocking.answers), (
                "all answer some time"
            )

    @property
    def report(self) -> Report:
        return self.writer.report

    @property
    def away(self) -> list[Span]:
        """When nobody opened, by whoever knocked."""
        return self.knocking.away

    @property
    def restarted(self) -> list[str]:
        """The names of the members that restarted so far, in their order, each as often as it did."""
        return [span.name for span in self.restarts]

    def show(self, context: ssl.SSLContext) -> None:
        """Use another certificate, or believe another authority, from the next connection on."""
        self.writer.show(context)
        self.knocking.show(context)

    def look(self) -> list[Span]:
        """Read the logs while no member restarts, before a busy one's is rotated, and tell of the restarts since the last look."""
        now = time.time()
        new = restarts(self._site, self._since) if self._logs else []
        self.restarts += new
        self._since = now
        return new


def post(address: str, path: str, question: dict[str, Any], context: ssl.SSLContext) -> tuple[int, bytes]:
    """Ask etcd's JSON gateway something over a connection of its own."""
    connection = http.client.HTTPSConnection(address, PORT, timeout=ASK_SECONDS, context=context)
    try:
        connection.request("POST", path, json.dumps(question))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()

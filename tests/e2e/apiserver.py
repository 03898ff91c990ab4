"""A real kube-apiserver as one process on a host, without any kubelet, and a client that writes through it."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.e2e.writer import Report
from tests.targets import programs
from tests.targets.common import wait_until

if TYPE_CHECKING:
    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

MODULE = "kubernetes-1.37"
PORT = 6443
FOLDER = "/etc/kube-apiserver"
CERTIFICATES = "/var/lib/kube-apiserver"
BUNDLE = f"{FOLDER}/etcd"  # what deploys/clients.py gives
START_SECONDS = 180
PAUSE = 0.3
ASK_SECONDS = 20
PAGE = 500
UNIT = """[Unit]
Description=kube-apiserver of a test
[Service]
Type=notify
ExecStart=/usr/local/bin/kube-apiserver {flags}
TimeoutStartSec={seconds}
Restart=no
"""


class ApiServer:
    """kube-apiserver on a host with systemd, whose store is a cluster that it reaches with a client's bundle.

    Args:
        site: the cluster.
        host: a client of it in the inventory, with its bundle in BUNDLE.
    """

    def __init__(self, site: Site, host: Host) -> None:
        self.site, self.host = site, host
        self.token = secrets.token_hex(16)
        self.context: ssl.SSLContext | None = None

    @property
    def version(self) -> str:
        """The release that runs."""
        return programs.module(MODULE).version

    def install(self) -> None:
        """Put the program, its keys and its service onto the host, and start it."""
        program = programs.built(MODULE, "kube-apiserver")
        self.site.lab.uses({f"kube-apiserver {self.version}": "Go modules"})
        self.host.write("/usr/local/bin/kube-apiserver", program.read_bytes(), 0o755)
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.host.write(f"{FOLDER}/sa.key", private, 0o600)
        self.host.write(f"{FOLDER}/sa.pub", public)
        self.host.write(f"{FOLDER}/tokens.csv", f"{self.token},writer,writer,system:masters\n", 0o600)
        endpoints = ",".join(f"https://{self.site.address(host)}:2379" for host in self.site.hosts)
        flags = {
            "etcd-servers": endpoints,
            "etcd-cafile": f"{BUNDLE}/ca.pem",
            "etcd-certfile": f"{BUNDLE}/client.pem",
            "etcd-keyfile": f"{BUNDLE}/client-key.pem",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": f"{FOLDER}/sa.pub",
            "service-account-signing-key-file": f"{FOLDER}/sa.key",
            "token-auth-file": f"{FOLDER}/tokens.csv",
            "authorization-mode": "RBAC",
            "anonymous-auth": "false",
            "disable-admission-plugins": "ServiceAccount",
            "service-cluster-ip-range": "10.96.0.0/16",
            "advertise-address": self.host.address,
            "secure-port": str(PORT),
            "cert-dir": CERTIFICATES,
        }
        told = " ".join(f"--{name}={value}" for name, value in flags.items())
        self.host.write(
            "/etc/systemd/system/kube-apiserver.service", UNIT.format(flags=told, seconds=START_SECONDS)
        )
        self.host.run("systemctl daemon-reload")
        self.restart()

    def restart(self) -> None:
        """Start it anew, as its administrator does when the authority's file has changed, and wait until it is ready."""
        self.host.run("systemctl", "restart", "--no-block", "kube-apiserver")
        # It makes its own certificate at its first start.
        wait_until("the API server is ready", self._ready, START_SECONDS)

    def _ready(self) -> bool:
        state = self.host.run("systemctl", "is-active", "kube-apiserver", check=False).stdout.strip()
        if state == "failed":
            said = self.host.run("journalctl -u kube-apiserver -o cat -n 20").stdout
            raise AssertionError(f"found a kube-apiserver that ended:\n{said}")
        if state != "active":
            return False
        self.context = ssl.create_default_context(cadata=self.host.read(f"{CERTIFICATES}/apiserver.crt"))
        try:
            return self.ask("GET", "/readyz")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    @property
    def pid(self) -> str:
        """Its process."""
        return self.host.run("systemctl", "show", "kube-apiserver", "-p", "MainPID", "--value").stdout.strip()

    def connection(self) -> http.client.HTTPSConnection:
        """Make a connection to it."""
        return http.client.HTTPSConnection(self.host.address, PORT, timeout=ASK_SECONDS, context=self.context)

    def ask(
        self,
        method: str,
        path: str,
        question: Any = None,
        connection: http.client.HTTPSConnection | None = None,
    ) -> tuple[int, Any]:
        """Ask it something, over a connection of its own unless one is given."""
        used = connection or self.connection()
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            used.request(method, path, None if question is None else json.dumps(question), headers)
            answer = used.getresponse()
            body = answer.read()
        finally:
            if connection is None:
                used.close()
        return answer.status, json.loads(body) if body[:1] == b"{" else body.decode(errors="replace")


class ApiWriter:
    """Makes about three ConfigMaps a second through an API server until its block ends; then reads all back.

    Args:
        server: the API server.
        seconds: how long it writes at most; a block that lasts longer fails.
    """

    def __init__(self, server: ApiServer, *, seconds: float = 600) -> None:
        self.report = Report()
        self._server, self._seconds = server, seconds
        self._name = f"writer-{secrets.token_hex(4)}"
        self._path = "/api/v1/namespaces/default/configmaps"
        self._written: dict[str, str] = {}
        self._first, self._ended = threading.Event(), threading.Event()
        self._in_time = True
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._first.wait(ASK_SECONDS * 2), f"no write was acknowledged: {self.report}"
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None:
            assert self._in_time, f"the block lasted longer than the {self._seconds} s of its writer"
            self.read_back()

    def _write(self) -> None:
        begin = last = time.monotonic()
        before, number = 0, 0
        connection = self._server.connection()
        while not self._ended.is_set():
            now = time.monotonic()
            if now - begin > self._seconds:
                self._in_time = False
                break
            number += 1
            name, value = f"{self._name}-{number:06}", secrets.token_hex(8)
            revision = self._make(connection, name, value)
            if revision is None:
                self.report.failed += 1
                connection.close()
                connection = self._server.connection()
            else:
                self._written[name] = value
                self.report.acknowledged += 1
                if revision <= before:
                    self.report.disordered.append(f"{name}: {revision} after {before}")
                before = max(before, revision)
                self._stalled(last)
                last = time.monotonic()
                self._first.set()
            self._ended.wait(max(0.0, PAUSE - (time.monotonic() - now)))
        self._stalled(last)
        connection.close()

    def _stalled(self, since: float) -> None:
        spent = round((time.monotonic() - since) * 1000)
        self.report.longest_stall_ms = max(self.report.longest_stall_ms, spent)

    def _make(self, connection: http.client.HTTPSConnection, name: str, value: str) -> int | None:
        """Make one object, and give its revision in etcd; None where that was not confirmed."""
        made = {"metadata": {"name": name}, "data": {"value": value}}
        try:
            status, answer = self._server.ask("POST", self._path, made, connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.report.reasons[f"{type(error).__name__}: {error}"[:160]] += 1
            return None
        if status != http.client.CREATED:
            self.report.reasons[f"status {status}: {answer}"[:160]] += 1
            return None
        return int(answer["metadata"]["resourceVersion"])

    def read_back(self) -> None:
        """Read every object from etcd by way of the API server: without a version asked for, it reads with a quorum."""
        found: dict[str, str] = {}
        following = ""
        while True:
            page = f"?limit={PAGE}" + (f"&continue={following}" if following else "")
            status, answer = self._server.ask("GET", self._path + page)
            assert status == http.client.OK, answer
            found |= {one["metadata"]["name"]: one.get("data", {}).get("value") for one in answer["items"]}
            following = answer["metadata"].get("continue", "")
            if not following:
                break
        self.report.lost += [name for name, value in self._written.items() if found.get(name) != value]

"""Questions to members while a run is executed: waiting, checking, and handing over leadership."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
from pyinfra.api.facts import get_fact
from pyinfra.context import ctx_host

from etcd_steward.answers import clean, read_status
from etcd_steward.facts.answer import Answer
from etcd_steward.runtimes import runtime
from etcd_steward.shell import Script, script
from etcd_steward.topology import Member
from etcd_steward.waits import QUESTION_S, reach, trouble

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.run import ClusterRun

__all__ = [
    "NO_ANSWER",
    "Status",
    "ask",
    "await_healthy",
    "ctl",
    "hand_over",
    "kubelets_error",
    "last_errors",
    "look_at",
    "reach_peers",
    "seek",
    "why_it_ended",
    "why_unreached",
]


_Told = TypeVar("_Told")
_SAY_EVERY_S = 8  # a question takes as long, so that a line comes every ten seconds


@dataclass(frozen=True)
class Status:
    """What an endpoint told of itself, as far as turns need it."""

    cluster: int
    member: int
    leader: int
    version: str
    index: int
    applied: int

    @classmethod
    def read(cls, text: str) -> Status | None:
        """Read the JSON of `etcdctl endpoint status`."""
        try:
            status = read_status(text)
        except ValueError:
            return None
        return cls(
            cluster=status["header"]["cluster_id"],
            member=status["header"]["member_id"],
            leader=status.get("leader", 0),
            version=status["version"],
            index=status.get("raftIndex", 0),
            # 3.3 and older do not tell it; all that we support do.
            applied=status.get("raftAppliedIndex", 0),
        )


def ctl(member: Member, *fragments: str, role: str = "health", **values: Any) -> Script:
    """Make a script that asks etcd from a member's host.

    Args:
        member: on whose host it runs.
        fragments: file names in `templates/`.
        role: whose pair is shown.
        values: variables of the fragments.

    Returns:
        The script.
    """
    settings = member.settings
    authority = "peer_ca" if role == "peer" else "ca"
    return script(
        "ctl.sh",
        *fragments,
        bin_dir=settings.etcd_bin_dir,
        ca=settings.certificate_path(authority, member.name),
        cert=settings.certificate_path(role, member.name),
        key=settings.certificate_path(f"{role}_key", member.name),
        **values,
    )


def ask(run: ClusterRun, host: str, question: Script, seconds: int = QUESTION_S) -> list[str]:
    """Run a script on a host of the cluster, or of a client, and return its lines.

    Args:
        run: the run.
        host: the inventory's name of the host; connected to where it is not yet.
        question: the script.
        seconds: how long it may take.

    Returns:
        Its lines; none where it failed, or the host is out of reach.
    """

    def work(target: Host) -> list[str]:
        if reach(target):
            # Said by whoever waits, and no more than they say it.
            return []
        with ctx_host.use(target):
            answer: list[str] = get_fact(
                run.state,
                target,
                Answer,
                kwargs={"ask": question, "_timeout": seconds, **run.privileges()},
                apply_failed_hosts=False,
            )
            return answer

    job = gevent.spawn(work, run.hosts.get(host) or run.state.inventory.get_host(host))
    result: list[str] = job.get()
    return result


def seek(
    run: ClusterRun, host: str, question: Script, read: Callable[[list[str]], _Told]
) -> tuple[_Told | None, str]:
    """Run a script on a host that may be out of reach.

    Args:
        run: the run.
        host: the inventory's name of the host.
        question: the script.
        read: reads its lines.

    Returns:
        What was read, or None and why the host was not reached.
    """
    target = run.state.inventory.get_host(host)
    if not target.connected and target in run.state.failed_hosts:
        # pyinfra has just tried; a second try would double the wait.
        return None, "pyinfra could not connect"
    try:
        lines = ask(run, host, question)
        silent = trouble(target)
        return (None, silent) if silent else (read(lines), "")
    except Exception as error:  # noqa: BLE001 - whatever a connector raises, the host was not reached
        return None, clean(str(error)) or type(error).__name__


def await_healthy(
    run: ClusterRun, member: Member, seconds: int, *, applied: int = 0, learner: bool = False
) -> tuple[Status | None, str]:
    """Wait until a member is healthy and has caught up, saying so at least every ten seconds.

    Args:
        run: the run.
        member: whom to wait for.
        seconds: how long at most.
        applied: the log index that it must have applied.
        learner: it may still be a learner, which answers no linearizable read: its status is enough.

    Returns:
        Its status, or None, and then what it said last.
    """
    begun, said = time.monotonic(), "no answer"
    told = begun - _SAY_EVERY_S
    awaited = "to catch up" if learner else "to be healthy"
    while True:
        left = seconds - (time.monotonic() - begun)
        question = ctl(
            member,
            "await.sh",
            endpoint=member.loopback_url,
            seconds=max(1, min(8, int(left))),
            learner="yes" if learner else "",
        )
        lines = ask(run, member.host, question)
        if not lines:
            said = trouble(run.hosts[member.host]) or "no answer"
        for line in lines:
            word, _, rest = line.partition(" ")
            status = Status.read(rest) if word == "status" else None
            if status is not None and status.applied >= applied:
                return status, ""
            said = rest if status is None else f"it has applied log entry {status.applied} of {applied}"
        spent = time.monotonic() - begun
        if spent >= seconds:
            return None, said
        if time.monotonic() - told >= _SAY_EVERY_S:
            told = time.monotonic()
            run.hosts[member.host].log(
                f"waiting for {member.name} {awaited}: {spent:.0f} s of {seconds} s ({said[:120]})"
            )
        # One that answers, but is behind, answers at once; so does a host that is booting, by refusing the connection.
        gevent.sleep(0.2 if lines else 1)


# What a crash leaves, the cause before its trace; `panic:` is Go's own, the levels are those of etcd's log.
_CAUSES = (re.compile(r"(^|\s)panic: "), re.compile(r'"level":"(panic|fatal)"'))
_TRACE = re.compile(r"^\s*\S+\.go:\d+|^\s*goroutine \d+|^\s*runtime\.|^\s*panic\(")
_START = "starting an etcd server"


def last_errors(run: ClusterRun, member: Member, init: str = "") -> str:
    """Fetch the last error from a member's log, to say why it does not start.

    Args:
        run: the run.
        member: whose log.
        init: its host's init system, where nothing is planned.

    Returns:
        The message, or an empty text: the cause of a crash where there was one, and never a line of its trace.
    """
    keeper = runtime(member.settings, init or run.planned()[0].hosts[member.host].init)
    # One that crashes again and again writes more than people want to read, and may just have been started once more.
    lines = ask(
        run,
        member.host,
        Script(
            "log",
            f"{{ {keeper.last_lines(2000)}; }} 2>/dev/null | grep -E 'error|fatal|panic|etcd-steward:|{_START}' | tail -n 200",
        ),
    )
    return why_it_ended([keeper.text(line) for line in lines])[:400]


def why_it_ended(lines: list[str]) -> str:
    """Choose the line of a log that says why etcd ended.

    Args:
        lines: those that tell of errors and of starts, without what the log's keeper puts before them.

    Returns:
        The cause of the last crash, else the last error; empty where there is none.
    """
    starts = [at for at, line in enumerate(lines) if _START in line]
    # The last start may not have come as far as the crash.
    for begin in [*reversed(starts[-2:]), *([] if starts else [0])]:
        since = [line for line in lines[begin:] if _START not in line]
        for cause in _CAUSES:
            found = next((line for line in since if cause.search(line)), None)
            if found is not None:
                return found.strip()
    errors = [line for line in lines if _START not in line and not _TRACE.search(line)]
    return errors[-1].strip() if errors else ""


# As klog writes an error: its letter, the date, and where in the source it was.
_KUBELETS_ERROR = re.compile(r"(?:^|\s)E\d{4} \S+\s+\d+ \S+:\d+\] (.*)")
_KUBELET_ENDED = "Main process exited"


def kubelets_error(run: ClusterRun, member: Member) -> str:
    """Fetch why kubelet itself does not come up, where that is why a static pod does not.

    Args:
        run: the run.
        member: whose host.

    Returns:
        kubelet's last error before it ended last; empty where it goes on, or where members are services.
    """
    if not member.settings.pod:
        return ""
    # What was long ago is not why it does not come up now.
    since = member.settings.etcd_timeout + 60
    told = f"journalctl -u kubelet --since=-{since}s -n 2000 --no-pager -o cat 2>/dev/null"
    kept = f"{told} | grep -E '^E[0-9]{{4}} |{_KUBELET_ENDED}' | tail -n 200"
    return why_kubelet_ended(ask(run, member.host, Script("kubelets-log", kept)))[:400]


def why_kubelet_ended(lines: list[str]) -> str:
    """Choose the line of kubelet's journal that says why it ended.

    Args:
        lines: those that tell of errors and of its ends; others are passed over.

    Returns:
        Its last error before it ended last; empty where it has not ended, or told no error.
    """
    ends = [at for at, line in enumerate(lines) if _KUBELET_ENDED in line]
    if not ends:
        return ""
    begin = ends[-2] + 1 if len(ends) > 1 else 0
    errors = [found[1] for line in lines[begin : ends[-1]] if (found := _KUBELETS_ERROR.search(line))]
    return errors[-1].strip() if errors else ""


def look_at(
    run: ClusterRun, observer: Member, endpoints: Mapping[str, str], *, unwell: bool = False
) -> tuple[dict[str, Status], dict[str, str]]:
    """Ask some members for their health, from the host of one of them.

    Args:
        run: the run.
        observer: from whose host.
        endpoints: member names and the client URLs to ask.
        unwell: look for whoever is alive: a status is enough, which needs no quorum.

    Returns:
        The status of each healthy member by name, and what the others said.
    """
    urls = {url: name for name, url in endpoints.items()}
    healthy: dict[str, Status] = {}
    down = dict.fromkeys(endpoints, "no answer")
    question = ctl(observer, "others.sh", endpoints=list(urls), unwell="yes" if unwell else "")
    for line in ask(run, observer.host, question):
        word, _, rest = line.partition(" ")
        url, _, said = rest.partition(" ")
        status = Status.read(said) if word == "status" else None
        if url in urls and status is not None:
            healthy[urls[url]] = status
            down.pop(urls[url], None)
        elif url in urls:
            down[urls[url]] = said
    return healthy, down


def hand_over(run: ClusterRun, observer: Member, leader: str, heir: int) -> bool:
    """Move leadership away from a member that is about to stop.

    Args:
        run: the run.
        observer: from whose host.
        leader: client URL of the member that leads now.
        heir: id of the voter that shall lead.

    Returns:
        Whether it was moved.
    """
    question = ctl(observer, "guard.sh", "move-leader.sh", endpoint=leader, heir=f"{heir:x}")
    return "moved" in ask(run, observer.host, question)


def reach_peers(run: ClusterRun, member: Member, peers: list[Member]) -> list[str]:
    """Try every peer port from a member's host, with its peer certificate.

    Args:
        run: the run.
        member: from whose host.
        peers: whom to reach.

    Returns:
        A sentence for each that was not reached.
    """
    missing = {peer.peer_url: "no answer" for peer in peers}
    # etcdctl repeats its question until its time is up, so a short try comes first, and a patient one for slow hosts.
    for seconds in (1, 6):
        question = ctl(member, "peers.sh", role="peer", peers=list(missing), seconds=seconds)
        for line in ask(run, member.host, question):
            _, _, rest = line.partition(" ")
            url, _, said = rest.partition(" ")
            if url in missing:
                missing[url] = why_unreached(said)
        missing = {url: why for url, why in missing.items() if why}
        if not missing:
            break
    return [f"{url}: {why}" for url, why in missing.items()]


# What etcdctl says of a port that cannot be reached, or that refuses the certificate or shows a wrong one.
_UNREACHED = re.compile(
    r"(Error while dialing[^\"\\]*|authentication handshake failed[^\"\\]*|remote error: tls[^\"\\]*|x509: [^\"\\]*)",
)
# The peer port ends TLS and then speaks no gRPC to clients (from 3.6 by intent, before by accident), so an error that
# comes after the handshake shows that the port was reached.
_BEYOND_TLS = (
    "is healthy",
    "Unimplemented",
    "ALPN",
    "connection closed",
    "closed network connection",
    "transport is closing",
    "write client preface",
    "server preface",
    "EOF",
)


NO_ANSWER = "no answer in time"


def why_unreached(said: str) -> str:
    """Judge what etcdctl said of a peer port.

    Args:
        said: its output, in one line.

    Returns:
        Why the port was not reached with TLS; empty where it was.
    """
    if "ALPN" not in said and (refused := _UNREACHED.search(said)):
        return refused.group(1).strip()
    if any(sign in said for sign in _BEYOND_TLS):
        return ""
    return NO_ANSWER

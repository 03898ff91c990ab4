"""Reads the lines of the one probe, `templates/probe.sh`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from etcd_steward.addresses import read_held
from etcd_steward.answers import clean, decoded, number, read_members, read_status
from etcd_steward.identity import parse_wal_head
from etcd_steward.observed import (
    NO_LOG,
    UNTENDED,
    Data,
    Endpoint,
    File,
    HostState,
    Process,
    ScheduleState,
    Service,
    refuses_user,
)
from etcd_steward.snapshots import read_all
from etcd_steward.storage import read as read_storage

__all__ = ["parse_probe", "read_across", "read_service", "whole_line"]

_SHELL = "look at what the login's shell prints there, and whether it lets commands run"

# Lines of certificates come in two parts of which the first is so long.
_PART = 32

# So much is quoted of an answer that cannot be read.
_QUOTED = 200


def parse_probe(host: str, lines: list[str], *, sent: float = 0.0, received: float = 0.0) -> HostState:
    """Read the lines of `templates/probe.sh`.

    Args:
        host: the host's inventory name.
        lines: what the probe printed.
        sent: the controller's time when it was sent, seconds since 1970.
        received: the controller's time when its answer had come.

    Returns:
        The host's state; not reached where the lines do not end as they should, since half an answer is none.
    """
    # A login's greeting stands before the answer, and is none of ours.
    begin = next((at for at, line in enumerate(lines) if line == "probe 1"), None)
    if begin is None and lines:
        first = next((word for line in lines if (word := clean(line).strip())), "")
        return HostState(host, problem=f"words that are none of ours ({first[:120]!r})", mend=_SHELL)
    if begin is None or lines[-1] != "end":
        return HostState(host, problem="the probe's answer was cut short", mend="run again; look at the host")
    lines = lines[begin:]
    told: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = clean(line).replace("\t", "").partition(" ")
        told.setdefault(word, []).append(rest)
    try:
        return _host_state(host, told, sent, received)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        return HostState(host, problem=f"the probe's answer could not be read: {error}")


def _host_state(host: str, told: dict[str, list[str]], sent: float, received: float) -> HostState:
    release = dict(line.replace('"', "").partition("=")[::2] for line in told.get("os", ()))
    account = told.get("account", [""])[0].split()
    free, _, mount = told["free"][0].partition(" ")
    init = told["init"][0]
    return HostState(
        host=host,
        reached=True,
        problem="",
        now=number(told["now"][0]),
        sent=sent,
        received=received,
        uid=number(told["uid"][0]),
        machine=told["machine"][0],
        mark=told.get("mark", [""])[0],
        # One that holds nothing is there all the same.
        lock=(told["lock"][0] or "somebody") if "lock" in told else "",
        init=init,
        os_id=release.get("ID", ""),
        os_like=release.get("ID_LIKE", ""),
        os_name=release.get("PRETTY_NAME", ""),
        account=(number(account[0]), number(account[1])) if account else None,
        group=number(told["group"][0]) if "group" in told else None,
        releases=dict(line.split() for line in told.get("release", ())),
        links=dict(line.split(" ", 1) for line in told.get("link", ())),
        files=_files(told),
        certificates=_texts(told.get("pem", ())),
        settled=told.get("settled", [""])[0],
        formed="formed" in told,
        listed=told.get("listed", [""])[0].strip().strip("'\""),
        started=dict(line.split(" ", 1) for line in told.get("started", ()) if " " in line),
        # One that cannot be read is not the same as none.
        record=(_json(told["record"][0]) or {}) if "record" in told else None,
        service=read_service(init, told.get("service", [])),
        foreign_units=tuple(told.get("foreign-unit", ())),
        processes=tuple(_process(line, told.get("ours", ())) for line in told.get("process", ())),
        blind=tuple(told.get("blind", ())),
        free_mb=number(free) // 1024,
        mount=mount,
        storage=read_storage(told.get("storage", ())),
        folders=_folders(told.get("data", [])),
        # Nobody but root sees into the data folder.
        data=_data(told.get("data", [])) if told["uid"] == ["0"] else Data(),
        aside=tuple(told.get("aside", ())),
        left={path: number(time) for time, _, path in (line.partition(" ") for line in told.get("left", ()))},
        listening=tuple(int(port, 16) for port in told.get("listening", ())),
        unresolved=tuple(told.get("unresolved", ())),
        resolved={name: tuple(rest) for name, *rest in map(str.split, told.get("resolved", ()))},
        held=read_held(told.get("interface", ())),
        time=frozenset(told.get("time", ())),
        zone=told.get("zone", [""])[0].rpartition("zoneinfo/")[2],
        endpoint=_endpoint(told.get("etcd", [])),
        snapshots=read_all(told.get("snapshot", [])),
        schedule=_schedule(told.get("schedule", [])),
        node=_words(told.get("node", [])),
    )


def _words(lines: list[str]) -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        words[word] = (*words.get(word, ()), rest)
    return words


def _schedule(lines: list[str]) -> ScheduleState:
    told = dict(line.partition("=")[::2] for line in lines)
    return ScheduleState(
        since=number(told["since"]) if "since" in told else None,
        enabled=told.get("UnitFileState", "").startswith("enabled"),
        active=told.get("ActiveState") == "active",
        reload_due=told.get("NeedDaemonReload") == "yes",
        line=told.get("line", ""),
    )


def _files(told: dict[str, list[str]]) -> dict[str, File]:
    unmarked = set(told.get("unmarked", ()))
    files = {}
    for line in told.get("file", ()):
        digest, mode, owner, path = line.split(" ", 3)
        files[path] = File(digest, mode, owner, path not in unmarked)
    return files


def _texts(lines: Any) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line in lines:
        path, _, text = line.partition(" ")
        texts[path] = texts.get(path, "") + whole_line(text) + "\n"
    return texts


def whole_line(text: str) -> str:
    """Put the two parts of a certificate's line together, see `templates/certificates.sh`."""
    return text[:_PART] + text[_PART:].removeprefix("|")


def _json(text: str) -> dict[str, Any] | None:
    try:
        value = decoded(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_service(init: str, lines: list[str]) -> Service:
    """Read what an init system told of a service.

    Args:
        init: systemd or openrc.
        lines: `KEY=VALUE`, as `templates/probe.sh` asks for them.

    Returns:
        The service.
    """
    told = dict(line.partition("=")[::2] for line in lines)
    enabled = told.get("UnitFileState", "").startswith("enabled")
    if "Kubelet" in told:
        return _static_pod(told, enabled=enabled)
    definition = told.get("FragmentPath", "")
    if init == "systemd":
        active = told.get("ActiveState", "inactive")
        return Service(
            exists=told.get("LoadState") == "loaded",
            running=active in {"active", "activating", "reloading"},
            enabled=enabled,
            definition=definition,
            reload_due=told.get("NeedDaemonReload") == "yes",
            word=f"{active} ({told.get('SubState', '')})" if definition else "absent",
        )
    # OpenRC's `status`: 0 started, 3 stopped, 4 stopping, 8 starting, 16 inactive, 32 crashed (rc_service_state).
    words = {
        "0": "started",
        "3": "stopped",
        "4": "stopping",
        "8": "starting",
        "16": "inactive",
        "32": "crashed",
    }
    status = told.get("Status", "")
    return Service(
        exists=bool(definition),
        running=status in {"0", "8"},
        enabled=enabled,
        definition=definition,
        word=words.get(status, f"status {status}") if definition else "absent",
    )


def _static_pod(told: dict[str, str], *, enabled: bool) -> Service:
    manifest, process = told.get("Manifest", ""), told.get("Process", "")
    kubelet = told["Kubelet"]
    awaited = bool(manifest) and kubelet in {"active", "activating", "reloading"}
    word = "absent"
    if process and manifest:
        word = "running" if awaited else f"running ({UNTENDED} {kubelet})"
    elif process:
        word = "stopping"
    elif manifest:
        word = "starting" if awaited else f"stopped ({UNTENDED} {kubelet})"
    elif "Parked" in told:
        word = "stopped"
    return Service(
        exists=word != "absent",
        running=bool(process) or awaited,
        enabled=enabled,
        definition=manifest,
        word=word,
    )


def _process(line: str, ours: Sequence[str]) -> Process:
    pid, command, config = [*line.split(" ", 2), ""][:3]
    return Process(number(pid), command, config.partition("=")[2], ours=pid in ours)


def _folders(lines: list[str]) -> dict[str, str]:
    return {
        line.split(" ", 1)[0]: line.split(" ", 1)[1]
        for line in lines
        if line.startswith(("folder ", "wal-folder "))
    }


def _data(lines: list[str]) -> Data:
    told = dict(line.partition(" ")[::2] for line in lines)
    if "unreadable" in told:
        return Data("unknown", missing=told["unreadable"])
    size = number(told.get("db") or "0")
    if "wal" not in told and "db" not in told:
        return Data("empty")
    if "db" not in told:
        return Data("half", parse_wal_head(bytes.fromhex(told["wal"])), "the database (member/snap/db)")
    if "wal" not in told:
        return Data("half", None, NO_LOG, size)
    identity = parse_wal_head(bytes.fromhex(told["wal"]))
    if identity is None:
        return Data("half", None, "a readable write-ahead log", size)
    return Data("complete", identity, "", size)


def _endpoint(lines: list[str]) -> Endpoint:
    health = next((line for line in lines if line.startswith("health ")), "health no no answer")
    # Without the word that follows a connection is not even tried, as nothing listens: `health` says so.
    status, untold = _read(lines, "status", "untold", _json_list)
    members, denied = _read(lines, "members", "denied", _members)
    return Endpoint(
        healthy=health == "health yes",
        # etcdctl repeats the address that it was given.
        error="" if health == "health yes" else health[9:].rpartition(" is unhealthy: ")[2].strip(),
        status=status,
        members=members,
        untold=untold,
        denied=denied,
        unread=next((line[7:] for line in lines if line.startswith("unread ")), ""),
        alarms=tuple(line[6:] for line in lines if line.startswith("alarm ")),
        across=next((read_across(line) for line in lines if line.startswith("across ")), None),
    )


def read_across(line: str) -> tuple[str, str]:
    """Read how one member's client URL was tried from another's host, see `templates/across.sh`.

    Args:
        line: `across URL yes`, or `across URL no WHY`.

    Returns:
        The URL, and why it was not reached, or an empty text where it was: whoever refuses us was reached.
    """
    _, url, answer, why = [*line.split(" ", 3), "", "", ""][:4]
    reached = answer == "yes" or "etcdserver: " in why or refuses_user(why)
    return url, "" if reached else (why or "no answer")


def _read(
    lines: list[str], word: str, failure: str, read: Callable[[str], dict[str, Any] | None]
) -> tuple[dict[str, Any] | None, str]:
    """Read an answer, or say why there is none: etcdctl's own words, or the answer that nobody can read."""
    for line in lines:
        if line.startswith(f"{failure} "):
            return None, line.removeprefix(f"{failure} ")
        if line.startswith(f"{word} "):
            answer = read(line.removeprefix(f"{word} "))
            return answer, "" if answer is not None else line.removeprefix(f"{word} ")[:_QUOTED]
    return None, ""


def _members(text: str) -> dict[str, Any] | None:
    return _or_none(read_members, text)


def _json_list(text: str) -> dict[str, Any] | None:
    return _or_none(read_status, text)


def _or_none(read: Callable[[str], dict[str, Any]], text: str) -> dict[str, Any] | None:
    try:
        return read(text)
    except ValueError:  # pydantic's is one
        return None

"""Questions to members while their databases are maintained: who serves, and which alarms are raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etcd_steward.answers import read_status
from etcd_steward.talk import ask, ctl

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from etcd_steward.run import ClusterRun
    from etcd_steward.topology import Member

__all__ = ["raised", "serving"]

# Seconds: the list of alarms is agreed upon, which takes an election where the leader has just changed.
_PATIENCE = 10


def serving(
    run: ClusterRun, observer: Member, endpoints: Mapping[str, str], seconds: int
) -> dict[str, dict[str, Any]]:
    """Ask some members for their status, as far as they serve.

    Args:
        run: the run.
        observer: from whose host.
        endpoints: member names and the client URLs to ask; one without a URL cannot serve.
        seconds: how long a member is given.

    Returns:
        The decoded status of each that serves, by name.
    """
    names = {url: name for name, url in endpoints.items() if url}
    found = {}
    for line in ask(run, observer.host, ctl(observer, "serving.sh", endpoints=list(names), seconds=seconds)):
        word, _, rest = line.partition(" ")
        url, _, said = rest.partition(" ")
        if word == "status" and url in names:
            try:
                found[names[url]] = read_status(said)
            except ValueError:
                continue  # an answer that cannot be read is none
    return found


def raised(run: ClusterRun, observer: Member, planned: Collection[str] = ()) -> str:
    """Look for alarms that came up since the plan was made; without an answer, there may be one.

    Args:
        run: the run.
        observer: from whose host.
        planned: alarms that this run is there to end.

    Returns:
        What is raised, or that it is unknown; empty where there is nothing but what was planned.
    """
    question = ctl(observer, "alarms.sh", endpoint=observer.loopback_url, seconds=_PATIENCE)
    lines = ask(run, observer.host, question)
    if "listed" not in lines:
        said = " ".join(lines).removeprefix("refused ")[:200] or "no answer"
        return f"found no list of the alarms that are raised ({said}), wanted none raised; next: run deploys/status.py"
    alarms = {line.removeprefix("alarm ") for line in lines if line.startswith("alarm ")} - set(planned)
    if not alarms:
        return ""
    cure = (
        "run again, which ends it"
        if alarms == {"NOSPACE"}
        else "it is never disarmed here: find the member that differs; see docs/troubleshooting.md"
    )
    return f"found the alarm {', '.join(sorted(alarms))} raised during the run, wanted none; next: {cure}"

"""One run of pyinfra over one cluster: look once, decide once, and let every operation read the same answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.lock import RLock
from pyinfra import logger
from pyinfra.api import DeployError, Host, State, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.facts import get_fact
from pyinfra.context import ctx_host

from etcd_steward import storage
from etcd_steward.addresses import is_ip, is_loopback, nobodys
from etcd_steward.answers import clean
from etcd_steward.consents import unbroken
from etcd_steward.credentials import Credentials, pki_folder
from etcd_steward.errors import Complaint, complaints_text
from etcd_steward.facts.probe import Probe, questions
from etcd_steward.machines import same_machines
from etcd_steward.observed import ClusterState, HostState, known_addresses, see_cluster
from etcd_steward.parsing import parse_probe
from etcd_steward.plan import Plan, decide
from etcd_steward.record import Record, read_controller_record
from etcd_steward.refused import reason
from etcd_steward.rollout import Failures, Rollout
from etcd_steward.settings import Settings
from etcd_steward.shell import Script
from etcd_steward.standing import Standing, stand
from etcd_steward.topology import Cluster, build_cluster, member_name
from etcd_steward.waits import PROBE_S, trouble

__all__ = ["ClusterRun", "Sight", "refuse"]

# Seconds within which a host that refuses a question has said so.
_AT_ONCE = 10


def refuse(complaints: list[Complaint]) -> None:
    """Stop the run before any host is changed, telling everything that is wrong at once.

    Args:
        complaints: what is wrong; with none, nothing happens.

    Raises:
        DeployError: there is something wrong.
    """
    if complaints:
        raise DeployError(complaints_text(complaints))


@dataclass(frozen=True)
class Sight:
    """What one look at all hosts of a cluster showed.

    Args:
        cluster: the cluster as the settings describe it.
        hosts: what the probes told.
        seen: what a quorum says of itself.
        records: our records by where they lie.
        credentials: its authorities.
    """

    cluster: Cluster
    hosts: Mapping[str, HostState]
    seen: ClusterState | None
    records: Mapping[str, Record]
    credentials: Credentials

    @property
    def voters(self) -> int:
        """How many voters the cluster has, also those that the inventory does not know; without an answer, how many it should have."""
        return len(self.seen.voters) if self.seen else len(self.cluster.members)

    @property
    def standing(self) -> Standing:
        """Whether a quorum answers: yes, proved that it does not, or unknown."""
        return stand(self.hosts, self.seen)

    def decide(self) -> Plan:
        """Decide every host's action; the plan may hold refusals. Its notes hold in every verb, and in status."""
        forget = self.cluster.settings.etcd_forget_cluster
        plan = decide(self.cluster, self.hosts, self.seen, self.records, forget)
        members = self.cluster.members
        kept = [note for member in members for note in member.notes]
        stored = [note for member in members for note in storage.notes(member, self.hosts[member.host])]
        return replace(plan, notes=(*plan.notes, *kept, *stored))


@dataclass
class ClusterRun:
    """All that one run knows of one cluster; shared by the greenlets of all its hosts."""

    state: State
    name: str
    settings: Mapping[str, Settings]
    hosts: Mapping[str, Host]
    failures: Failures
    rollout: Rollout
    lock: RLock = field(default_factory=RLock)
    memory: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ClusterRun({self.name!r})"

    def once(self, what: str, make: Callable[[], Any]) -> Any:
        """Make something for the whole cluster once, whichever host asks first.

        Args:
            what: its name.
            make: makes it; its error is kept and raised for every host.

        Returns:
            What was made.
        """
        with self.lock:
            if what not in self.memory:
                try:
                    self.memory[what] = (make(), None)
                except Exception as error:  # noqa: BLE001 - it is raised again for every host
                    self.memory[what] = (None, error)
            value, failure = self.memory[what]
            if failure is not None:
                raise failure
            return value

    def look(self, *, only: bool = False, tell: bool = False) -> Sight:
        """Probe all hosts at once and put together what they tell.

        Args:
            only: an unreached host needs no address, several clusters stop nothing.
            tell: nothing will be changed, and two names of one machine are told, not refused.

        Returns:
            What was seen.

        Raises:
            DeployError: the members cannot be told from the settings and the hosts.
        """
        hosts = self.probe(list(self.hosts))
        self.memory["last look"] = hosts
        same = same_machines({name: state.mark for name, state in hosts.items()})
        refuse([] if tell else same)
        seen, ids = see_cluster(dict(hosts))
        names = {host: member_name(host, own) for host, own in self.settings.items()}
        cluster, complaints = build_cluster(
            self.name,
            self._placed(hosts) if only else self.settings,
            {name: state.held for name, state in hosts.items() if state.reached},
            {name: host.data.get("ssh_hostname") or name for name, host in self.hosts.items()},
            known_addresses(hosts, seen, names),
        )
        # One machine has one address, which then stands twice.
        refuse([*same, *complaints] if complaints else [])
        if cluster is None:
            raise DeployError(f"{self.name}: no member could be placed")
        if len(ids) > 1 and not only:
            refuse(
                [
                    Complaint(
                        self.name,
                        f"members of several clusters ({', '.join(f'{number:016x}' for number in sorted(ids))})",
                        "one cluster",
                        "nothing is done until it is clear which hosts belong together",
                    ),
                ],
            )
        records, complaints = self._records(hosts, cluster.settings)
        refuse([] if only else complaints)
        sight = Sight(cluster, hosts, seen, records, Credentials.look(cluster, hosts))
        # Later this run holds a lock itself.
        refuse(self.once("a lock to break", lambda: unbroken(sight)))
        return sight

    def _placed(self, hosts: Mapping[str, HostState]) -> Mapping[str, Settings]:
        """Give hosts that could not tell their address one: as the cluster's list has it, else the name."""
        seen, _ = see_cluster(dict(hosts))
        listed = {one.name: one.peer_urls for one in seen.members} if seen else {}
        placed = dict(self.settings)
        for host, own in self.settings.items():
            if hosts[host].reached or own.etcd_address:
                continue
            name = member_name(host, own)
            known = next((urlsplit(peer_url).hostname for peer_url in listed.get(name, ())), None)
            reached = str(self.hosts[host].data.get("ssh_hostname") or host)
            usable = is_ip(reached) and not nobodys(reached) and not is_loopback(reached)
            address = known or (reached if usable else name)
            placed[host] = own.model_copy(update={"etcd_address": address})
        return placed

    def probe(self, names: list[str]) -> dict[str, HostState]:
        """Probe some hosts side by side.

        Args:
            names: inventory names of hosts of this cluster.

        Returns:
            Their states; a host that gave no answer is not reached.
        """
        privileges = self.privileges()
        begun = time.monotonic()
        took: dict[str, float] = {}

        def first(name: str) -> HostState:
            state = self._probe_host(self.hosts[name], privileges)
            took[name] = time.monotonic() - begun
            return state

        jobs = {name: gevent.spawn(first, name) for name in names}
        gevent.joinall(list(jobs.values()))
        found = {name: job.get() for name, job in jobs.items()}
        for name, told in found.items():
            # What a connector raises may hold words of the host.
            state = found[name] = replace(told, problem=clean(told.problem))
            # One that hung is not asked again; one that was refused a session beside others is, now by itself.
            if not state.reached and self.hosts[name].connected and took[name] < _AT_ONCE:
                found[name] = self._ask_again(self.hosts[name], state, privileges)
        return found

    def _ask_again(self, host: Host, before: HostState, privileges: Mapping[str, Any]) -> HostState:
        """Ask a host once more that was reached and told nothing, and hear why it does."""
        told, mend = reason([before.problem]) if before.problem == "EOFError" else ("", "")
        if told:
            return replace(before, problem=told, mend=mend)
        sent = time.time()
        try:
            with ctx_host.use(host):
                arguments, _ = pop_global_arguments(self.state, host, dict(privileges))
                connector = {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}
                done, output = host.run_shell_command(
                    StringCommand(self._question(host)), **{**connector, "_timeout": PROBE_S}
                )
        except Exception as error:  # noqa: BLE001 - whatever a connector raises, the host was not reached
            told, mend = reason([str(error) or type(error).__name__])
            return replace(before, problem=told or before.problem, mend=mend or before.mend)
        state = parse_probe(host.name, list(output.stdout_lines), sent=sent, received=time.time())
        if state.reached:
            return state
        told, mend = reason([] if done else output.stderr_lines)
        return replace(
            before,
            problem=told or (state.problem if output.stdout_lines else before.problem),
            mend=mend or state.mend,
        )

    def _probe_host(self, host: Host, privileges: Mapping[str, Any]) -> HostState:
        if not host.connected and host in self.state.failed_hosts:
            # pyinfra has just tried; a second try would double the wait.
            return HostState(host.name, problem="pyinfra could not connect")
        sent = time.time()
        try:
            with ctx_host.use(host):
                found: HostState | None = get_fact(
                    self.state,
                    host,
                    Probe,
                    kwargs={"ask": self._question(host), "_timeout": PROBE_S, **privileges},
                    apply_failed_hosts=False,
                )
        except Exception as error:  # noqa: BLE001 - whatever a connector raises, the host was not reached
            return HostState(host.name, problem=str(error) or type(error).__name__)
        received = time.time()
        if found is None and trouble(host):
            # Why a host that is up ends a connection at once is asked for once more.
            ended = "EOFError" if "(EOFError)" in trouble(host) else ""
            return HostState(host.name, problem=ended or trouble(host))
        return replace(found or HostState(""), host=host.name, sent=sent, received=received)

    def _question(self, host: Host) -> Script:
        settings = self.settings[host.name]
        addresses = {own.etcd_address for own in self.settings.values() if own.etcd_address}
        names = tuple(sorted(one for one in addresses if not is_ip(one)))
        return questions(settings, member_name(host.name, settings), names)

    def fallen_silent(self, before: Sight) -> str:
        """Name the hosts that told something then, and nothing when they were looked at last: that is no change of theirs.

        Args:
            before: what was seen then.

        Returns:
            A sentence; empty where there is no such host.
        """
        after: Mapping[str, HostState] = self.memory.get("last look", {})
        silent = [
            f"{host} ({state.problem})"
            for host, state in after.items()
            if not state.reached and before.hosts[host].reached
        ]
        if not silent:
            return ""
        return f"found no answer of {', '.join(silent)} after the plan was made, wanted one of every host; next: run again"

    def limited(self) -> set[str]:
        """Name the hosts that this run may change, as `--limit` and `--exclude` say."""
        return {name for name, host in self.hosts.items() if self.state.is_host_in_limit(host)}

    def privileges(self) -> dict[str, Any]:
        """Return what was passed to the deploy, as facts of other hosts do not inherit it."""
        return dict(self.memory.get("privileges", {}))

    def _records(
        self, hosts: Mapping[str, HostState], settings: Settings
    ) -> tuple[dict[str, Record], list[Complaint]]:
        records = {name: record for name, state in hosts.items() if (record := Record.read(state.record))}
        path = pki_folder(settings) / "cluster.json"
        try:
            here = read_controller_record(path.parent)
            damaged = "it is not ours" if here is None and path.exists() else ""
        except OSError as error:
            here, damaged = None, str(error.strerror)
        if damaged:
            return records, [
                Complaint(
                    "the controller",
                    f"{path}, which cannot be read ({damaged})",
                    "the cluster's record",
                    "bring it back from a backup, or move it aside where the hosts have theirs",
                ),
            ]
        return ({"the controller": here, **records} if here else records), []

    def planned(self) -> tuple[Sight, Plan]:
        """Look and decide, once for all hosts.

        Returns:
            What was seen, and the plan; it may hold refusals.
        """

        def make() -> tuple[Sight, Plan]:
            sight = self.look()
            plan = sight.decide()
            for note in plan.notes:
                logger.warning(f"    {self.name}: {note}")
            return sight, plan

        result: tuple[Sight, Plan] = self.once("planned", make)
        return result

    def now(self) -> datetime:
        """The time of the run, the same for all its judgements."""
        result: datetime = self.once("now", lambda: datetime.now(UTC))
        return result

"""What speaks against a run of flannel, found before any host is changed; and what is only worth knowing."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etcd_steward import flannel, flannel_host, versions
from etcd_steward.addresses import candidates
from etcd_steward.docker_unit import program_of
from etcd_steward.errors import Complaint
from etcd_steward.neighbours import keys_of_flags, named, overriding, sorted_before
from etcd_steward.platforms import INITS
from etcd_steward.settings.flannel import NETWORK_KEYS

if TYPE_CHECKING:
    from etcd_steward.addresses import Held
    from etcd_steward.docker_unit import Docker
    from etcd_steward.flannel_leases import Keys
    from etcd_steward.flannel_seen import Seen
    from etcd_steward.settings import Settings

__all__ = ["complaints", "notes"]


def complaints(
    cluster: str,
    settings: Mapping[str, Settings],
    seen: Mapping[str, Seen],
    changed: set[str],
    endpoints: Sequence[str],
    keys: Keys | None,
    problem: str,
) -> list[Complaint]:
    """Judge a network before anything is done.

    Args:
        cluster: the cluster's name.
        settings: the hosts of the network and their settings.
        seen: what was seen of each.
        changed: the hosts that this run may change, as far as pyinfra reaches them.
        endpoints: client URLs of the members.
        keys: what is in etcd.
        problem: why that is not known.

    Returns:
        The complaints.
    """
    told = _disagreements(settings) or _room(cluster, settings)
    told += _inside(cluster, settings, seen, endpoints)
    for name in settings:
        if name in changed:
            told += _host(name, settings[name], seen[name])
    if keys is None:
        told.append(
            Complaint(
                cluster,
                f"no answer about flannel's keys ({problem})",
                "a cluster that answers, as the network configuration is written before any flanneld starts",
                "run deploys/etcd.py, or deploys/status.py to see what is wrong",
            )
        )
        return told
    return told + _other_config(cluster, next(iter(settings.values())), keys)


def _disagreements(settings: Mapping[str, Settings]) -> list[Complaint]:
    first_host, first = next(iter(settings.items()))
    return [
        Complaint(
            host,
            f"{key} = {getattr(own, key)!r}",
            f"{getattr(first, key)!r} as on {first_host}",
            f"set {key} once, for all hosts of the network",
        )
        for host, own in settings.items()
        for key in NETWORK_KEYS
        if getattr(own, key) != getattr(first, key)
    ]


def _room(cluster: str, settings: Mapping[str, Settings]) -> list[Complaint]:
    network = next(iter(settings.values()))
    room = flannel.capacity(network)
    if len(settings) <= room:
        return []
    return [
        Complaint(
            cluster,
            f"{len(settings)} hosts, and room for {room} in {network.etcd_flannel_network}, as its first part is never given away",
            "a part for each host",
            "raise etcd_flannel_subnet_len, or widen etcd_flannel_network",
        )
    ]


def _inside(
    cluster: str, settings: Mapping[str, Settings], seen: Mapping[str, Seen], endpoints: Sequence[str]
) -> list[Complaint]:
    network = next(iter(settings.values()))
    spans = [network.etcd_flannel_network, network.etcd_flannel_ipv6_network]
    owners = {host: seen[host].own_addresses for host in settings}
    owners[cluster] = [urlsplit(endpoint).hostname or "" for endpoint in endpoints]
    return [
        Complaint(
            owner,
            f"its own address {address} inside flannel's network",
            f"hosts outside {' and '.join(span for span in spans if span)}, where packets to them would be sent into the overlay",
            "choose another etcd_flannel_network",
        )
        for owner, addresses in owners.items()
        for address in flannel.overlaps(spans, addresses)
    ]


def _host(host: str, settings: Settings, seen: Seen) -> list[Complaint]:
    if not seen.reached:
        return [Complaint(host, f"no answer ({seen.problem})", "the host within reach", "bring it back")]
    if seen.uid != 0:
        return [Complaint(host, "a login without root's rights", "root's", "set _sudo or _doas")]
    if seen.init not in INITS:
        return [Complaint(host, "no init system that is known", " or ".join(INITS), "boot the host with one")]
    told = []
    try:
        arch = versions.release_arch(seen.machine)
    except ValueError as error:
        return [
            Complaint(host, f"the machine {seen.machine}", str(error).partition("wanted ")[2], "leave it out")
        ]
    version, digest = settings.etcd_flannel_version, settings.etcd_flannel_sha256
    given = digest.get(arch) if isinstance(digest, Mapping) else digest
    if version not in seen.releases and given is None and settings.etcd_flannel_mirror is None:
        told.append(
            Complaint(
                host,
                f"no SHA-256 of flannel-v{version}-linux-{arch}.tar.gz",
                "a digest, as nothing is installed without one",
                f"set etcd_flannel_sha256 = {{'{arch}': '…'}}, or etcd_flannel_mirror to one with a SHA256SUMS",
            )
        )
    told += _interface(host, settings.etcd_flannel_iface, seen)
    if settings.etcd_flannel_glue == "docker" and seen.init != "systemd":
        told.append(
            Complaint(
                host,
                f"etcd_flannel_glue = 'docker' with {seen.init}",
                "systemd, whose unit of docker can be extended beside it",
                "set it to 'none', and let docker's own configuration read /run/flannel/subnet.env",
            )
        )
    elif settings.etcd_flannel_glue == "docker" and seen.docker.unit:
        told += _docker(host, settings.etcd_flannel_dockerd, seen.docker)
        told += _flags(host, settings.etcd_flannel_dockerd, seen)
    return told


# What `mk-docker-opts.sh` writes, and the keys that docker takes for a contradiction to --bip.
_GIVEN = frozenset({"bip", "mtu", "ip-masq"})
_AGAINST_BIP = frozenset({"fixed-cidr", "bridge"})


def _flags(host: str, setting: str | None, seen: Seen) -> list[Complaint]:
    """Find what docker reads beside the flags that it is given, and does not start with; now it runs, at its next start it would not."""
    twice = _GIVEN | keys_of_flags(seen.docker.started(setting))
    told = [
        Complaint(
            host,
            f"{named(keys)} in {one.path}",
            "it only among docker's flags, of which flannel's glue makes some: with a key that is 'specified both as a flag and "
            "in the configuration file' dockerd does not start",
            f"take it out of {one.path}, or set etcd_flannel_glue = 'none'",
        )
        for one, keys in overriding(seen.beside, twice)
    ]
    told += [
        Complaint(
            host,
            f"{named(keys)} in {one.path}",
            "a docker0 that has flannel's part as a whole: beside --bip, which flannel's glue gives, dockerd does not start with it",
            f"take it out of {one.path}, or set etcd_flannel_glue = 'none'",
        )
        for one, keys in overriding(seen.beside, _AGAINST_BIP)
    ]
    return told


def _docker(host: str, setting: str | None, docker: Docker) -> list[Complaint]:
    program = program_of(setting or docker.command)
    if program in docker.programs:
        return []
    known = f"as docker's own unit has it: {docker.command}" if docker.command else "such as dockerd -H fd://"
    cure = "take etcd_flannel_dockerd out" if setting and docker.command else "set etcd_flannel_dockerd"
    wanted = f"a command whose program is there, {known}"
    return [Complaint(host, f"no {program or 'ExecStart in docker.service'}", wanted, cure)]


def _interface(host: str, iface: str | None, seen: Seen) -> list[Complaint]:
    if iface is None:
        return []
    try:
        named = str(ipaddress.ip_address(iface))
    except ValueError:
        named = iface
    if any(one.address == named for one in seen.held):
        return []
    own = [one for one in seen.held if one.interface == iface]
    if not own:
        known = ", ".join(f"{one.interface} {one.address}" for one in seen.held if one.interface != "lo")
        return [
            Complaint(
                host,
                f"interfaces {known or 'none'}",
                f"etcd_flannel_iface {iface}",
                "correct etcd_flannel_iface",
            )
        ]
    return _floating(host, iface, own)


def _floating(host: str, iface: str, own: Sequence[Held]) -> list[Complaint]:
    """Refuse an interface of which flannel takes an address that may be another host's tomorrow: it takes the first."""
    usable = [
        one for one in own if ":" not in one.address and not ipaddress.ip_address(one.address).is_link_local
    ]
    best = candidates(usable)
    if not usable or best == [usable[0].address]:
        return []
    told = ", ".join(one.address for one in usable)
    text = f"several addresses on {iface} ({told}), of which flannel takes {usable[0].address}"
    hint = f"set etcd_flannel_iface to the host's own address, such as {(best or [usable[0].address])[0]}"
    return [Complaint(host, text, "one that is this host's for good", hint)]


def _other_config(cluster: str, network: Settings, keys: Keys) -> list[Complaint]:
    if keys.config is None or network.etcd_flannel_overwrite:
        return []
    told = flannel.differences(keys.config, flannel.configuration(network))
    if not told:
        return []
    return [
        Complaint(
            cluster,
            f"another network configuration in {network.etcd_flannel_prefix}/config ({'; '.join(told)}), under which "
            f"{len(keys.leases)} hosts hold a lease",
            "the same one, as running hosts and their containers live in it",
            "set etcd_flannel_… to what is there, or consent to its end with etcd_flannel_overwrite = True",
        )
    ]


def notes(settings: Mapping[str, Settings], seen: Mapping[str, Seen]) -> list[str]:
    """Say what does not stand in the way, but may keep packets from arriving.

    Args:
        settings: the hosts of the network and their settings.
        seen: what was seen of each.

    Returns:
        Sentences.
    """
    return [
        str(note)
        for host, own in settings.items()
        if seen[host].reached
        for note in _notes(host, own, seen[host])
    ]


def _notes(host: str, settings: Settings, seen: Seen) -> list[Complaint]:
    told = []
    port = flannel_host.port(settings)
    if seen.firewall and not seen.open and not settings.etcd_flannel_open_port:
        told.append(
            Complaint(
                host,
                f"{seen.firewall} active, without a rule for UDP {port}",
                "that port open between the hosts",
                "open it there, or set etcd_flannel_open_port = True",
            )
        )
    told += [
        Complaint(
            host,
            f"{name.replace('/', '.')} = 0 in {file}, which is read after {flannel_host.SYSCTL_FILE}",
            "1, or no word of it there, as packets would not be forwarded after the next boot",
            f"take it out of {file}",
        )
        for name, (value, file) in seen.boot.items()
        if value == "0" and file != flannel_host.SYSCTL_FILE
    ]
    tool = "nft" if settings.etcd_flannel_nftables else "iptables"
    if tool not in seen.tools:
        told.append(
            Complaint(host, f"no {tool}", "it, as flannel writes its rules with it", f"install {tool}")
        )
    if settings.etcd_flannel_glue == "docker" and seen.init == "systemd" and not seen.docker.unit:
        told.append(
            Complaint(
                host,
                "no docker.service",
                "docker there, before its unit is told of flannel",
                "install docker, then run again",
            )
        )
    if settings.etcd_flannel_glue == "docker":
        told += [
            Complaint(
                host,
                f"{one.path}, which is no JSON",
                "JSON, as docker does not start with it",
                f"`dockerd --validate --config-file {shlex.quote(one.path)}` on this host says where",
            )
            for one in seen.beside
            if not one.known
        ]
    first = sorted_before(seen.cni, flannel_host.CONFLIST)
    if first:
        told.append(
            Complaint(
                host,
                f"{named(first)} before {flannel_host.CONFLIST}",
                "flannel's list first, as container runtimes take the first by name",
                f"`mv {shlex.quote(first[0])} {shlex.quote(first[0] + '.off')}` on this host, unless it hands on to flannel's (multus)",
            )
        )
    if settings.etcd_flannel_glue == "cni" and "flannel-cni" not in seen.tools:
        told.append(
            Complaint(
                host,
                "no /opt/cni/bin/flannel",
                f"the plugin that {flannel_host.CONFLIST} names",
                "install it from flannel-io/cni-plugin",
            )
        )
    return told

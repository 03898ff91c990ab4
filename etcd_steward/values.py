"""What a setting's value may be, beyond its plain type."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from etcd_steward import versions
from etcd_steward.addresses import is_address_or_name, is_ip, is_loopback, is_wildcard, nobodys

__all__ = [
    "NAME",
    "Account",
    "Address",
    "CertifiedName",
    "ClusterId",
    "DataPath",
    "Days",
    "Digests",
    "EtcdDigests",
    "FileName",
    "FlannelRelease",
    "HostPath",
    "Image",
    "Interface",
    "Ip",
    "KeyPrefix",
    "KubernetesRelease",
    "Line",
    "MemberKey",
    "Minor",
    "Mirror",
    "Network4",
    "Network6",
    "OwnIp",
    "Port",
    "Quantity",
    "Readiness",
    "Release",
    "TimeZone",
    "Word",
    "Words",
    "is_name",
    "is_systems",
    "is_volatile",
]

_SYSTEM_FOLDER = re.compile(
    r"/(bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp"
    r"|usr(/(bin|lib|sbin|local(/bin)?))?|var(/(lib|log|run|tmp))?)",
)
# Below these nobody keeps data: they belong to the system, and what is below some is lost at a reboot or anybody's.
_NO_DATA = re.compile(
    r"/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys|tmp|usr|var/(cache|lock|log|mail|run|spool|tmp))/"
)
_VOLATILE = re.compile(r"/(dev|proc|run|sys|tmp|var/(lock|run|tmp))(/|$)")


def is_systems(path: str) -> bool:
    """Tell whether a path is one of the system's own folders, whose mode and owner are nobody's to change.

    Args:
        path: where.
    """
    return _SYSTEM_FOLDER.fullmatch(path) is not None


def is_volatile(path: str) -> bool:
    """Tell whether a path lies where others make names, or where a reboot takes everything away.

    Args:
        path: where.
    """
    return _VOLATILE.match(path) is not None


def _host_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._@+/-]*", value) or ".." in PurePosixPath(value).parts:
        raise ValueError("an absolute path of letters, digits and . _ @ + -, without ..")
    path = f"/{str(PurePosixPath(value)).lstrip('/')}"  # POSIX keeps two slashes at the beginning
    if path == "/":
        raise ValueError("a folder below /")
    return path


def _data_path(value: str) -> str:
    path = _host_path(value)
    # It becomes the etcd account's own, and readable by nobody else.
    if is_systems(path) or _NO_DATA.match(path):
        raise ValueError("a folder of etcd's own, on a disk that outlives a reboot")
    return path


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._{}-]+", value) or value in {".", ".."}:
        raise ValueError("a file name without folders")
    return value


NAME = "a name of letters, digits, dots, dashes and underscores, at most 64 long"


def is_name(value: str) -> bool:
    """Tell whether a text can be the name of a member, whichever way it came in.

    Args:
        value: the text.
    """
    return bool(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", value))


def _word(value: str) -> str:
    if not is_name(value):
        raise ValueError(NAME)
    return value


def _account(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", value):
        raise ValueError("a system account name such as etcd")
    return value


def _address(value: str) -> str:
    if not is_address_or_name(value):
        raise ValueError("an IP address without brackets or port, or a DNS name")
    return _one_hosts(value)


def _one_hosts(value: str) -> str:
    reason = nobodys(value)
    if reason:
        raise ValueError(f"the address of one host; {value} is {reason}")
    return value


def _certified_name(value: str) -> str:
    if not is_address_or_name(value) and not is_wildcard(value):
        raise ValueError(
            "an IP address without brackets or port, or a DNS name, which may begin with *. for any one label"
        )
    # With its zone a link-local address is looked for without it, so there it has a use.
    number = ipaddress.ip_address(value) if is_ip(value) else None
    return value if number and number.is_link_local else _one_hosts(value)


def _ip(value: str) -> str:
    if not is_ip(value) or "%" in value:
        raise ValueError("an IP address of the host itself, as sockets are bound to addresses, not names")
    return value if ipaddress.ip_address(value).is_unspecified else _one_hosts(value)


def _own_ip(value: str) -> str:
    if is_ip(value) and is_loopback(value):
        raise ValueError(f"an address at which other hosts reach this one; {value} leads each to itself")
    return _one_hosts(_ip(value))


def _version(value: Any) -> str:
    return str(versions.parse(value))


def _mirror(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise ValueError("an http or https address; for a folder there is etcd_archive_dir")
    return _line(value)


def _digests(value: Any) -> Any:
    digests = value if isinstance(value, dict) else {"amd64": value}
    known = {"amd64", "arm64"}.issuperset(digests)
    if not known or not all(
        isinstance(one, str) and re.fullmatch(r"[0-9a-fA-F]{64}", one) for one in digests.values()
    ):
        raise ValueError("64 hexadecimal digits, or such a text for amd64 and for arm64")
    return value


def _etcd_digests(value: Any) -> Any:
    if not isinstance(value, dict) or not any(isinstance(one, dict) for one in value.values()):
        return _digests(value)
    try:
        for release, digests in value.items():
            versions.parse(release)
            _digests(digests)
    except ValueError:
        raise ValueError(
            "64 hexadecimal digits, such a text for amd64 and for arm64, or such values by release"
        ) from None
    return {str(versions.parse(release)): digests for release, digests in value.items()}


def _cluster_id(value: Any) -> str:
    # pyinfra's `--data` turns digits alone into a number, and 12e4 into another one: 0x in front prevents it.
    text = str(value).zfill(16) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"(0x)?[0-9a-f]{1,16}", text):
        raise ValueError("up to 16 hexadecimal digits, with 0x in front where they look like a number")
    return text.removeprefix("0x").zfill(16)


def _readiness(value: object) -> object:
    words = {"true": True, "false": False, "trust": "trust"}
    answer = words.get(str(value).lower())
    if answer is None:
        raise ValueError("True, False or 'trust'")
    return answer


def _member_key(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9@:/\[\]._-]{1,200}", text):
        raise ValueError(
            "a member's name, id or peer URL; an id with 0x in front where it looks like a number"
        )
    return text


def _words(value: Any) -> Any:
    # `--data` knows no lists.
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def _time_zone(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", value):
        raise ValueError("a name of /usr/share/zoneinfo")
    return value


def _image(value: str) -> str:
    bare = value.replace("{version}", "0")
    if not re.fullmatch(r"[a-z0-9]([A-Za-z0-9._/:@-]*[A-Za-z0-9])?", bare):
        raise ValueError("an image with its tag or digest, in which {version} may stand for the release")
    return value


def _minor(value: str) -> str:
    if not re.fullmatch(r"1\.[1-9][0-9]", value):
        raise ValueError("a minor version of Kubernetes as text, such as 1.37")
    return value


def _kubernetes_release(value: str) -> str:
    if not re.fullmatch(r"v1\.[0-9]+\.[0-9]+", value):
        raise ValueError("a release of Kubernetes such as v1.37.2")
    return value


def _quantity(value: str) -> str:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?", value):
        raise ValueError("a quantity of Kubernetes such as 100m or 1Gi")
    return value


def _line(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("one line of printable text")
    return value


def _network(value: str, family: type[ipaddress.IPv4Network | ipaddress.IPv6Network], example: str) -> str:
    wanted = f"a network with its length such as {example}, whose address is its first"
    try:
        network = family(value)
    except ValueError:
        raise ValueError(wanted) from None
    if "/" not in value or network.is_multicast or network.is_loopback or network.is_link_local:
        raise ValueError(wanted)
    return str(network)


def _network4(value: str) -> str:
    return _network(value, ipaddress.IPv4Network, "172.30.0.0/16")


def _network6(value: str) -> str:
    return _network(value, ipaddress.IPv6Network, "fd00:30::/48")


def _interface(value: str) -> str:
    if not is_ip(value) and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", value):
        raise ValueError("the name of a network interface such as eth0, or an IP address of the host")
    return _own_ip(value) if is_ip(value) else value


def _key_prefix(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", value):
        raise ValueError("a path of letters, digits and . _ -, that begins with / and does not end with it")
    return value


def _flannel_release(value: Any) -> str:
    # pyinfra's `--data` turns 0.28 into a number.
    if not isinstance(value, str) or not re.fullmatch(r"v?(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}", value):
        raise ValueError("a full version such as 0.28.10")
    return value.removeprefix("v")


HostPath = Annotated[str, AfterValidator(_host_path)]
FileName = Annotated[str, AfterValidator(_file_name)]
Word = Annotated[str, AfterValidator(_word)]
Words = Annotated[list[Word], BeforeValidator(_words)]
Account = Annotated[str, AfterValidator(_account)]
Address = Annotated[str, AfterValidator(_address)]
CertifiedName = Annotated[str, AfterValidator(_certified_name)]
Ip = Annotated[str, AfterValidator(_ip)]
OwnIp = Annotated[str, AfterValidator(_own_ip)]
Line = Annotated[str, AfterValidator(_line)]
Image = Annotated[str, AfterValidator(_image)]
KubernetesRelease = Annotated[str, AfterValidator(_kubernetes_release)]
Minor = Annotated[str, AfterValidator(_minor)]
Quantity = Annotated[str, AfterValidator(_quantity)]
DataPath = Annotated[str, AfterValidator(_data_path)]
Mirror = Annotated[str, AfterValidator(_mirror)]
Digests = Annotated[dict[str, str] | str, BeforeValidator(_digests)]
EtcdDigests = Annotated[dict[str, dict[str, str] | str] | str, BeforeValidator(_etcd_digests)]
ClusterId = Annotated[str, BeforeValidator(_cluster_id)]
MemberKey = Annotated[str, BeforeValidator(_member_key)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Port = Annotated[int, Field(ge=1, le=65535)]
Days = Annotated[int, Field(ge=1, le=36500)]
Release = Annotated[str, BeforeValidator(_version)]
FlannelRelease = Annotated[str, BeforeValidator(_flannel_release)]
Network4 = Annotated[str, AfterValidator(_network4)]
Network6 = Annotated[str, AfterValidator(_network6)]
Interface = Annotated[str, AfterValidator(_interface)]
KeyPrefix = Annotated[str, AfterValidator(_key_prefix)]
Readiness = Annotated[bool | str, BeforeValidator(_readiness)]

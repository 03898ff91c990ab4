"""The keys of etcd's configuration file, release by release, and the form that each value takes."""

from __future__ import annotations

import difflib
import json
import re
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from etcd_steward import versions
from etcd_steward.errors import shown
from etcd_steward.versions import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "RESERVED",
    "conflicts",
    "gates",
    "kind",
    "known",
    "problem",
    "unshared",
    "values",
    "weakened",
    "written",
]

# Keys that etcd-steward decides itself -> what to do instead of setting them in etcd_config.
RESERVED = {
    "name": "set etcd_name",
    "data-dir": "set etcd_data_dir",
    "wal-dir": "set etcd_wal_dir",
    "listen-peer-urls": "set etcd_listen_address and etcd_peer_port",
    "listen-client-urls": "set etcd_listen_address and etcd_client_port",
    "initial-advertise-peer-urls": "set etcd_address and etcd_peer_port",
    "advertise-client-urls": "set etcd_address and etcd_client_port",
    "initial-cluster": "the inventory's group of members is the cluster",
    "initial-cluster-state": "the plan decides it from what it finds",
    "initial-cluster-token": "leave it out: every bootstrap makes a token of its own, which the record keeps",
    # Hosts leave lines that begin with `initial-` out of the digest that decides whether a restart is due.
    "initial-election-tick-advance": "leave it out: a change of it would not restart the member",
    "client-transport-security": "set etcd_cert_dir, etcd_cert_files or etcd_certificates_dir",
    "peer-transport-security": "set etcd_cert_dir, etcd_cert_files or etcd_certificates_dir",
    "self-signed-cert-validity": "leave it out: every certificate comes from an authority",
    "force-new-cluster": "restore a snapshot with deploys/restore.py (etcd#20896)",
    "strict-reconfig-check": "leave it out: etcd's default protects the quorum",
    "unsafe-no-fsync": "leave it out: it loses data",
    "enable-v2": "leave it out: the v2 interface is gone in 3.6",
    "experimental-enable-v2v3": "leave it out: the v2 interface is gone in 3.6",
    "grpc-additional-server-options": "leave it out: only a program that embeds etcd can set it",
    **dict.fromkeys(
        ("discovery", "discovery-config", "discovery-proxy", "discovery-srv", "discovery-srv-name"),
        "the inventory's group of members is the cluster",
    ),
    **dict.fromkeys(
        (
            "discovery-fallback",
            "proxy",
            "proxy-dial-timeout",
            "proxy-failure-wait",
            "proxy-read-timeout",
            "proxy-refresh-interval",
            "proxy-write-timeout",
        ),
        "leave it out: a member is no proxy, and the v2 proxy is gone in 3.6",
    ),
}
# The same for what is no key of the file, but often copied from old examples and command lines.
FLAGS = {
    "auto-tls": RESERVED["self-signed-cert-validity"],
    "peer-auto-tls": RESERVED["self-signed-cert-validity"],
    "ca-file": RESERVED["client-transport-security"],
    "peer-ca-file": RESERVED["peer-transport-security"],
}

# Keys that open the database or weaken TLS -> what no single value of them may look like, and what it would do. What is not
# here is safe in every value, or reserved, or refused for all (TLS below 1.2 is no value that the table knows).
_OFF_LOOPBACK = r"http://(?!(?:127(?:\.[0-9]{1,3}){3}|localhost|\[::1\])(?:[:/]|$)).*"
WEAKENING = {
    "listen-client-http-urls": (
        r"(?:http|unix)://.*",
        "opens the whole database to whoever has no certificate",
    ),
    "listen-metrics-urls": (_OFF_LOOPBACK, "shows metrics and health to other hosts without a certificate"),
    "cors": (r"\s*\*\s*", "lets every web page ask with the certificate of its reader"),
    "cipher-suites": (r".*(?:RC4|3DES|NULL|EXPORT|_MD5|_anon_).*", "takes ciphers that are broken"),
    "enable-pprof": (r"True", "lets every client profile the server"),
}
_UNSAFE = "unsafe-"

# Without one of these Go's server for HTTP/2 does not begin.
HTTP2 = ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")

SMALLEST_QUOTA = 1024**2  # anything less is a number of mega- or gigabytes by mistake

# What etcd's JWT library signs with (github.com/golang-jwt/jwt); `none` proves nothing.
SIGN_METHODS = tuple(f"{kind}{size}" for kind in ("ES", "HS", "PS", "RS") for size in (256, 384, 512))

MANY = 16  # names that are still told one by one

LARGEST = 2**63 - 1  # of Go's numbers and durations

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")


@cache
def _table() -> dict[str, Any]:
    text = resources.files("etcd_steward.data").joinpath("etcd-config-keys.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def known(key: str, version: Version) -> bool:
    """Tell whether a release reads a key; etcd ignores all others silently.

    Args:
        key: a key of the file's top level.
        version: the release that reads the file.

    Returns:
        True if the key has an effect.
    """
    since = _table()["keys"].get(key, {}).get("since", {}).get(version.minor_line)
    return since is not None and version >= versions.parse(since)


def kind(key: str) -> str:
    """Name the type of a key's value, as the table has it.

    Args:
        key: a key that some release knows.
    """
    return str(_table()["keys"][key]["type"])


def problem(key: str, value: object, version: Version) -> str | None:
    """Say what is wrong with one key that a user sets.

    Args:
        key: the key.
        value: its value.
        version: the release that reads the file.

    Returns:
        One sentence, or None if it is right.
    """
    keys = _table()["keys"]
    if key in RESERVED or key in FLAGS:
        return f"{key} is not yours to set ({RESERVED.get(key) or FLAGS[key]})"
    if key not in keys:
        usable = [name for name in keys if known(name, version) and name not in RESERVED]
        near = difflib.get_close_matches(str(key), usable, n=1)
        return f"{key} is no key of etcd's configuration file" + (
            f" (did you mean {near[0]}?)" if near else ""
        )
    if not known(key, version):
        return f"{key} is ignored by etcd {version}: " + _when(keys[key], version)
    # 3.6 refuses to start with both a gate and its old name, and 3.7 drops every experimental name.
    if key.startswith("experimental-") and version >= Version(3, 6, 0):
        return f"{key} has been renamed: {keys[key]['replaced_by']}"
    return _wrong_type(key, value, keys[key]["type"]) or _wrong_value(key, value, version)


def weakened(chosen: Mapping[str, object]) -> list[str]:
    """Say which values open the database or weaken TLS, so that they need a consent and stay in every report.

    Args:
        chosen: what the user sets.

    Returns:
        One sentence for each.
    """
    found = []
    for key, value in chosen.items():
        form, what = WEAKENING.get(
            key, (r"True" if key.startswith(_UNSAFE) else r"(?!)", "is unsafe by its name")
        )
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        # Of other types than these two nothing is dangerous, and not every number can be shown.
        texts = [str(part).strip() for part in parts if isinstance(part, str | bool)]
        wrong = [part for part in texts if re.fullmatch(form, part, re.IGNORECASE | re.DOTALL)]
        if wrong:
            found.append(f"{key} {shown(wrong[0])} {what}")
    return found


def values(key: str, version: Version) -> list[str] | None:
    """List all values that a release takes for a key, where they are a fixed list.

    Args:
        key: a key that the release knows.
        version: the release that reads the file.

    Returns:
        The values; for a key with a list or a map, what its entries may be. None where they are free.
    """
    entry = _table()["keys"][key]
    lists = entry.get("values")
    if lists is None:
        return None
    later = entry.get("values_since", {})
    fixed: list[str] = lists.get(version.minor_line, lists.get("", []))
    return [
        value
        for value in fixed
        if version >= versions.parse(later.get(value, {}).get(version.minor_line, version))
    ]


def conflicts(chosen: Mapping[str, object], version: Version) -> list[str]:
    """Find values that are right alone, and with which a release does not start, or does what nobody means.

    Args:
        chosen: every key that the file will hold, ours and the user's, each right in itself.
        version: the release that reads the file.

    Returns:
        One sentence for each.
    """
    found = []
    persist, checkpoint = "LeaseCheckpointPersist", "LeaseCheckpoint"
    states = gates(chosen.get("feature-gates", {})) or {}
    alpha = states.get("AllAlpha", False)
    if states.get(persist, alpha) and not states.get(checkpoint, alpha):
        found.append(f"feature-gates has {persist} without {checkpoint}, which it needs")
    if chosen.get("experimental-enable-lease-checkpoint-persist") and not chosen.get(
        "experimental-enable-lease-checkpoint"
    ):
        found.append(
            "experimental-enable-lease-checkpoint-persist is set without experimental-enable-lease-checkpoint, which it needs"
        )
    lowest, highest = chosen.get("tls-min-version"), chosen.get("tls-max-version")
    if lowest and highest and str(lowest) > str(highest):
        found.append(f"tls-min-version {lowest} is above tls-max-version {highest}")
    if lowest == "TLS1.3" and chosen.get("cipher-suites"):
        found.append("cipher-suites cannot be chosen with tls-min-version TLS1.3")
    elif (suites := _suites(chosen)) and not suites & set(HTTP2):
        # 3.4.23 to 3.7.3 end so; suites of TLS 1.3 among them are no reason for Go, which offers those always.
        found.append(
            f'cipher-suites is {shown(sorted(suites))}, and etcd ends with "http2: TLSConfig.CipherSuites is '
            f'missing an HTTP/2-required AES_128_GCM_SHA256 cipher"; it needs {" or ".join(HTTP2)}'
        )
    retention = chosen.get("auto-compaction-retention")
    if chosen.get("auto-compaction-mode") == "revision" and not str(retention).isdecimal():
        found.append(
            f"auto-compaction-retention is {shown(retention)}, which should be a number of revisions with auto-compaction-mode revision"
        )
    return found + _logging(chosen, version)


def _suites(chosen: Mapping[str, object]) -> set[str]:
    told = chosen.get("cipher-suites")
    return {one for one in told if isinstance(one, str)} if isinstance(told, list) else set()


def unshared(chosen: Mapping[str, object], kind: str) -> str | None:
    """Say that no suite fits a server's key, so that no handshake of TLS 1.2 succeeds with it.

    Those that HTTP/2 forbids do not count (CBC, and RSA without Diffie-Hellman): Go does not agree to them there.

    Args:
        chosen: what the user sets.
        kind: of the key: ECDSA, as which Ed25519 counts too, or RSA.

    Returns:
        One sentence, or None where one fits, or none is chosen.
    """
    suites = _suites(chosen)
    if not suites or any(re.fullmatch(rf"TLS_ECDHE_{kind}_WITH_.*(?:GCM|CHACHA20).*", one) for one in suites):
        return None
    wanted = next(one for one in HTTP2 if f"_{kind}_" in one)
    return (
        f'cipher-suites has none for a key of {kind}, so that no handshake with TLS 1.2 succeeds (etcd: "tls: no cipher suite '
        f'supported by both client and server"); add {wanted}'
    )


def _logging(chosen: Mapping[str, object], version: Version) -> list[str]:
    outputs = chosen.get("log-outputs")
    outputs = outputs if isinstance(outputs, list) else []
    if len(outputs) > 1 and "default" in outputs:
        return ["log-outputs has default beside others, which etcd does not start with"]
    files = [one for one in outputs if one not in {"default", "stderr", "stdout", "systemd/journal"}]
    if chosen.get("enable-log-rotation") and version >= Version(3, 5, 0) and len(files) != 1:
        return [f"enable-log-rotation is set with {len(files)} files in log-outputs, which should be one"]
    return []


def _wrong_value(key: str, value: object, version: Version) -> str | None:
    further: dict[str, Callable[[object], str | None]] = {
        "auth-token": partial(_wrong_token, version=version),
        "auto-compaction-retention": _wrong_retention,
        "log-rotation-config-json": _wrong_rotation,
        "socket-options": _wrong_options,
    }
    told = _unlisted(key, value, version) or _beyond(key, value)
    return told or (further[key](value) if key in further else None)


def _unlisted(key: str, value: object, version: Version) -> str | None:
    allowed = values(key, version)
    parts: list[str] = [str(value)]
    if key == "feature-gates":
        parts = list(gates(value) or {})
    elif isinstance(value, list | dict):
        parts = list(value)
    wrong = [part for part in parts if allowed is not None and part not in allowed]
    if not wrong or allowed is None:
        return None
    near = difflib.get_close_matches(wrong[0], allowed, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    several = isinstance(value, list | dict) or key == "feature-gates"
    told = f"{key} has {shown(wrong[0])}" if several else f"{key} is {shown(value)}"
    names = [name for name in allowed if name]
    takes = f"it takes {', '.join(names)}" if len(names) <= MANY else "see etcd's documentation for its names"
    return f"{told}, which etcd {version} does not know{meant}; {takes}"


def _beyond(key: str, value: object) -> str | None:
    entry = _table()["keys"][key]
    low, high = entry.get("range", (0, LARGEST))
    if "range" in entry and isinstance(value, int) and not low <= value <= high:
        return f"{key} is {shown(value)}, which should be {low} to {high}"
    if entry.get("positive") and _nanoseconds(value) == 0:
        return f"{key} is {shown(value)}, which should be more than 0"
    return None


def _wrong_retention(value: object) -> str | None:
    if str(value).isdecimal() or _nanoseconds(value) is not None:
        return None
    return (
        f"auto-compaction-retention is {shown(value)}, which should be hours as a whole number, a duration such as 5m, "
        "or a number of revisions"
    )


def _wrong_options(value: object) -> str | None:
    odd = (
        [name for name, state in dict(value).items() if not isinstance(state, bool)]
        if isinstance(value, dict)
        else []
    )
    return f"socket-options has {shown(odd[0])} that is neither true nor false" if odd else None


def _wrong_token(value: object, version: Version) -> str | None:
    kind, *options = str(value).split(",")
    pairs = [option.split("=") for option in options]
    names = [pair[0] for pair in pairs]
    if kind not in {"", "simple", "jwt"}:
        return f"auth-token begins with {shown(kind)}, which should be simple or jwt"
    if any(len(pair) != 2 for pair in pairs) or len(set(names)) != len(names):  # noqa: PLR2004 - a name and a value
        return "auth-token has options that are not name=value, each once"
    if kind != "jwt":
        return None
    odd = set(names) - {"sign-method", "pub-key", "priv-key", "ttl"}
    method = dict(pairs).get("sign-method")
    if odd:
        return f"auth-token has the option {shown(min(odd))}, which should be sign-method, pub-key, priv-key or ttl"
    methods = (*SIGN_METHODS, "EdDSA") if version >= Version(3, 6, 0) else SIGN_METHODS
    if method not in methods:
        return f"auth-token has the sign-method {shown(method)}, which should be one of {', '.join(methods)}"
    return None


def _wrong_rotation(value: object) -> str | None:
    try:
        right = isinstance(json.loads(str(value)), dict)
    except ValueError:
        right = False
    return None if right else f"log-rotation-config-json is {shown(value)}, which should be a map in JSON"


def _when(entry: Mapping[str, Any], version: Version) -> str:
    since = [versions.parse(first) for first in entry["since"].values()]
    later = [first for first in since if first > version]
    if version.minor_line in entry["since"] or len(later) == len(since):
        return f"it came with {min(later)}"
    replacement = entry.get("replaced_by")
    return f"removed, now {replacement}" if replacement else "removed"


def _wrong_type(key: str, value: object, kind: str) -> str | None:
    texts = isinstance(value, list) and all(isinstance(item, str) and item.isprintable() for item in value)
    text = isinstance(value, str) and value.isprintable()
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    right, wanted = {
        "string": (text or whole, "one line of text"),
        "bool": (isinstance(value, bool), "true or false"),
        "integer": (whole and (int(str(value)) >= 0 or key == "quota-backend-bytes"), "a whole number"),
        "duration": (_nanoseconds(value) is not None, "a duration such as 5m"),
        "list": (texts, "a list of texts"),
        "comma list": (text or texts, "a text or a list of texts"),
        "gates": (gates(value) is not None, "a map of feature names to true or false"),
        "map": (isinstance(value, dict), "a map"),
    }[kind]
    if key == "quota-backend-bytes" and whole and 0 < int(str(value)) < SMALLEST_QUOTA:
        right, wanted = False, "in bytes"
    return None if right else f"{key} is {shown(value)}, which should be {wanted}"


def written(key: str, value: object) -> object:
    """Put a value into the form that the file wants.

    Args:
        key: a key that some release knows.
        value: what the user wrote, without complaints.

    Returns:
        The value for YAML: durations in nanoseconds, lists of URLs as one text.
    """
    form = kind(key)
    if form == "duration":
        return _nanoseconds(value)  # the file knows durations only as nanoseconds (golang/go#10275)
    if form == "comma list" and isinstance(value, list):
        return ",".join(value)
    if form == "gates":
        return ",".join(
            f"{name}={str(state).lower()}" for name, state in sorted((gates(value) or {}).items())
        )
    return str(value) if form == "string" else value


def _nanoseconds(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value <= LARGEST else None
    if not isinstance(value, str) or not re.fullmatch(f"(?:{DURATION.pattern})+", value):
        return None
    total = sum(float(number) * NANOSECONDS[unit] for number, unit in DURATION.findall(value))
    return round(total) if total < LARGEST else None


def gates(value: object) -> dict[str, bool] | None:
    """Read feature gates, which the command line writes as "Name=true,Other=false".

    Args:
        value: such a text, or a map of names to true or false.

    Returns:
        The map, or None if the value is neither.
    """
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair]
        states = {"true": True, "false": False}
        if any(state not in states for _, _, state in pairs):
            return None
        return {name: states[state] for name, _, state in pairs}
    if isinstance(value, dict) and all(isinstance(state, bool) for state in value.values()):
        return {str(name): state for name, state in value.items()}
    return None

"""One look at a host: what of k3s is there, and what it was started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from etcd_steward import k3s
from etcd_steward.clients import Bundle
from etcd_steward.neighbours import Neighbour
from etcd_steward.neighbours import read as read_neighbours
from etcd_steward.observed import File
from etcd_steward.platforms import INITS
from etcd_steward.shell import Script, script

if TYPE_CHECKING:
    from etcd_steward.settings import Settings

__all__ = ["CONFIG", "LOGROTATE", "NOTE", "Look", "bundle_of", "question", "reads"]

CONFIG = "/etc/rancher/k3s/config.yaml"
NOTE = "/etc/etcd-steward/k3s-note"
LOGROTATE = "/etc/logrotate.d/k3s"
# Only one of them is there.
UNITS = [init.definition.format(name="k3s") for init in INITS.values()]
# What k3s reads beside that: after it, in the order of the names (k3s, pkg/configfilearg), and what its service hands it.
DROP_INS = [f"{CONFIG}.d/*.yaml", f"{CONFIG}.d/*.yml"]
ENVIRONMENT = [
    "/etc/default/k3s",
    "/etc/sysconfig/k3s",
    "/etc/systemd/system/k3s.service.env",
    "/etc/conf.d/k3s",
    "/etc/rancher/k3s/k3s.env",
]
_UNIT_DROP_INS = [
    f"{folder}/systemd/system/k3s.service.d/*.conf" for folder in ("/lib", "/usr/lib", "/run", "/etc")
]
_REGISTRIES = "/etc/rancher/k3s/registries.yaml"


@dataclass
class Look:
    """What a look at one host told of k3s; `whole` is False where it told nothing."""

    whole: bool = False
    machine: str = ""
    init: str = "none"
    hostname: str = ""
    node_name: str = ""
    beside: list[str] = field(default_factory=list)
    memory: bool = False
    token: bool = False
    ready: bool = False
    logrotate: bool = False
    link: str = ""
    line_file: tuple[str, ...] = ()
    line: list[str] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    service: set[str] = field(default_factory=set)
    disk: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, lines: list[str]) -> Look:
        """Read what `k3s-look.sh` printed."""
        look = cls()
        for line in lines:
            word, _, rest = line.partition(" ")
            match word:
                case "end":
                    look.whole = True
                case "machine" | "init" | "link" | "hostname" | "node-name":
                    setattr(look, word.replace("-", "_"), rest)
                case "memory" | "token" | "ready" | "logrotate":
                    setattr(look, word, rest == "yes")
                case "line-file":
                    look.line_file = tuple(rest.split(" "))
                case "file":
                    digest, mode, owner, path = rest.split(" ", 3)
                    look.files[path] = File(digest, mode, owner, ours=True)
                case "service":
                    look.service.add(rest)
                case "line" | "strange" | "data" | "disk" | "started" | "beside":
                    getattr(look, word).append(rest)
                case "release":
                    look.releases.append(rest)
        return look

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """What k3s reads beside our files."""
        return read_neighbours(self.beside)


def bundle_of(settings: Settings) -> Bundle:
    """Say which files a k3s server shows etcd.

    Args:
        settings: the server's settings.

    Returns:
        The files; the common name is etcd's user where authentication is on.
    """
    folder = settings.etcd_k3s_cert_dir
    return Bundle("k3s", f"{folder}/ca.crt", f"{folder}/client.crt", f"{folder}/client.key")


def reads(settings: Settings) -> dict[str, list[str] | str]:
    """Name what k3s reads only when it starts, as variables of `k3s-noted.sh`.

    Its certificate and key are not among them: etcd's client reads these again for every connection.

    Args:
        settings: the server's settings.

    Returns:
        The variables.
    """
    files = [CONFIG, *DROP_INS, *ENVIRONMENT, _REGISTRIES, bundle_of(settings).ca, *UNITS]
    return {"reads": files, "program": f"{settings.etcd_k3s_bin_dir}/k3s"}


def question(settings: Settings) -> Script:
    """Write the look at one host.

    Args:
        settings: the server's settings.

    Returns:
        A script that reads and changes nothing.
    """
    return script(
        "k3s-noted.sh",
        "service.sh",
        "neighbours.sh",
        "k3s-look.sh",
        **reads(settings),
        prefix=settings.etcd_k3s_prefix,
        files=[CONFIG, NOTE, LOGROTATE, *UNITS],
        lines=list(k3s.COMMAND_LINES) if settings.etcd_k3s_cgroups else [],
        drop_ins=DROP_INS,
        units=_UNIT_DROP_INS,
        beside_as="",
    )

"""One look at a host: what of Kubernetes is there, and whether it is a control plane already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from etcd_steward.kubeadm import CERTIFICATE, TOOLS
from etcd_steward.observed import File
from etcd_steward.platforms import Packages, package_manager
from etcd_steward.shell import Script, script

if TYPE_CHECKING:
    from etcd_steward.settings import Settings

__all__ = ["CONFIG", "DROP_IN", "LOG", "UNIT", "Look", "question"]

CONFIG = "/etc/kubernetes/kubeadm-config.yaml"
LOG = "/etc/kubernetes/kubeadm-init.log"
UNIT = "/etc/systemd/system/kubelet.service"
DROP_IN = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"


@dataclass
class Look:
    """What a look at one host told of Kubernetes; `whole` is False where it told nothing."""

    whole: bool = False
    machine: str = ""
    init: str = "none"
    hostname: str = ""
    node_name: str = ""
    os: dict[str, str] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    staged: set[str] = field(default_factory=set)
    admin: bool = False
    log: str = ""
    enabled: bool = False

    @classmethod
    def read(cls, lines: list[str]) -> Look:
        """Read what `kubernetes-look.sh` printed."""
        look = cls()
        for line in lines:
            word, _, rest = line.partition(" ")
            if word in {"machine", "init", "log", "hostname", "node-name"}:
                setattr(look, word.replace("-", "_"), rest)
            elif word in {"end", "admin", "kubelet"}:
                setattr(look, {"end": "whole", "admin": "admin", "kubelet": "enabled"}[word], True)
            elif word in {"os", "tool", "at", "staged"}:
                look._note(word, rest)
            elif word == "file":
                digest, mode, owner, path = rest.split(" ", 3)
                look.files[path] = File(digest, mode, owner, ours=True)
        return look

    def _note(self, word: str, rest: str) -> None:
        name, _, told = rest.partition("=" if word == "os" else " ")
        match word:
            case "os":
                self.os[name] = told.strip("\"'")
            case "tool":
                self.tools[name] = told.rpartition(" ")[2]
            case "at":
                self.at[name] = told
            case "staged":
                self.staged.add(rest)

    @property
    def packages(self) -> Packages | None:
        """The host's package manager."""
        return package_manager(self.os.get("ID", ""), self.os.get("ID_LIKE", ""))

    @property
    def missing(self) -> list[str]:
        """Which of kubeadm, kubectl and kubelet are not there."""
        return [tool for tool in TOOLS if tool not in self.tools]


def question(settings: Settings) -> Script:
    """Write the look at one host.

    Args:
        settings: the host's settings.

    Returns:
        A script that reads and changes nothing.
    """
    return script(
        "service.sh",
        "asked.sh",
        "kubernetes-look.sh",
        files=[CONFIG, UNIT, DROP_IN, CERTIFICATE],
        prefix=settings.etcd_kubernetes_prefix,
        tools=list(TOOLS),
        log=LOG,
    )

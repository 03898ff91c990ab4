"""The verbs: what the scripts in `deploys/` call, and what installed users name on pyinfra's command line."""

from __future__ import annotations

from etcd_steward.verbs.backup import backup
from etcd_steward.verbs.clients import clients
from etcd_steward.verbs.drill import drill
from etcd_steward.verbs.etcd import etcd
from etcd_steward.verbs.flannel import flannel
from etcd_steward.verbs.k3s import k3s
from etcd_steward.verbs.kubernetes import kubernetes
from etcd_steward.verbs.maintain import maintain
from etcd_steward.verbs.remove import remove
from etcd_steward.verbs.renew import renew
from etcd_steward.verbs.reset import reset
from etcd_steward.verbs.restore import restore
from etcd_steward.verbs.rotate_ca import rotate_ca
from etcd_steward.verbs.static_pods import static_pods
from etcd_steward.verbs.status import status
from etcd_steward.verbs.upgrade import upgrade

__all__ = [
    "backup",
    "clients",
    "drill",
    "etcd",
    "flannel",
    "k3s",
    "kubernetes",
    "maintain",
    "remove",
    "renew",
    "reset",
    "restore",
    "rotate_ca",
    "static_pods",
    "status",
    "upgrade",
]

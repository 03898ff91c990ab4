"""The three containers of scripts/demo; where no demo runs, placeholders that nothing can connect to."""

import json
import os
from pathlib import Path

_name = os.environ.get("ETCD_DEMO", "demo")
_state = Path(__file__).resolve().parents[1] / ".state" / _name
_file = _state / "inventory.json"
if _file.exists():
    _found = json.loads(_file.read_text())
else:
    _addresses = {"etcd-1": "192.0.2.11", "etcd-2": "192.0.2.12", "etcd-3": "192.0.2.13"}
    _hosts = [{"name": name, "address": ip, "container": f"demo-{name}"} for name, ip in _addresses.items()]
    _found = {"hosts": _hosts, "data": {}}

etcd = (
    [
        (f"@docker/{host['container']}", {"etcd_name": host["name"], "etcd_address": host["address"]})
        for host in _found["hosts"]
    ],
    {
        "etcd_cluster": "demo",
        "etcd_pki_dir": str(_state / "pki"),
        "etcd_min_free_mb": 64,
        **_found["data"],
    },
)

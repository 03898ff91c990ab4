"""What the three Pis of inventories/pi.py share."""

_sudo = True  # with doas instead of sudo: _doas = True

etcd_cluster = "pi"
# The article installed 3.5.4, and shows 3.5.2 running: releases that may lose data (etcd#13766, etcd#14685).
# Without etcd_version the release that this package holds for the best is installed.

etcd_extra_names = ["etcd.edge.huatai.me"]
etcd_subject = {"C": "CN", "ST": "cloud-atlas", "L": "Shanghai", "O": "huatai.me", "OU": "edge"}
etcd_cert_dir = "/etc/etcd"
etcd_cert_files = {
    "server": "server.pem",
    "server_key": "server-key.pem",
    "peer": "{name}.pem",
    "peer_key": "{name}-key.pem",
}
etcd_uid = 1001
etcd_gid = 1001

etcd_config = {
    "snapshot-count": 10000,  # a tenth of etcd's own value: less memory, and less to replay on an SD card
    "max-snapshots": 5,
    "max-wals": 5,
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
}

# A Pi has no clock of its own: it boots with the time of its last shutdown, or in 1970.
etcd_time_sync = True

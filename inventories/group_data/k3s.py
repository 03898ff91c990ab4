"""What the three Pis of inventories/k3s.py share."""

_sudo = True  # with doas instead of sudo: _doas = True

etcd_cluster = "k3s"
etcd_extra_names = ["etcd.edge.huatai.me"]
etcd_subject = {"C": "CN", "ST": "cloud-atlas", "L": "Shanghai", "O": "huatai.me", "OU": "edge"}

etcd_config = {
    "snapshot-count": 10000,  # a tenth of etcd's own value: less memory, and less to replay on an SD card
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
}

# A Pi has no clock of its own: it boots with the time of its last shutdown, or in 1970.
etcd_time_sync = True

# The k3s servers. Their token is made once, and kept beside the cluster's authorities.
etcd_client_of = "k3s"
etcd_k3s_version = "v1.37.1+k3s1"
etcd_k3s_tls_san = ["k3s.edge.huatai.me"]

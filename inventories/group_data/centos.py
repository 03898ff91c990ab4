"""What the three servers of inventories/centos.py share."""

_sudo = True  # the article worked as root; then ssh_user = "root" instead

etcd_cluster = "centos"
# The article installed 3.4.13. That line gets no more fixes, and below 3.4.22 a crash while defragmenting may harm
# data (etcd#14685). Kubernetes 1.17 and later speaks to 3.5 in the same way, so nothing keeps a new cluster on 3.4;
# the folder's name is only a name. To stay on the line all the same: etcd_version = "3.4.45".

etcd_prefix = "/opt/etcd-3.4/releases"
etcd_bin_dir = "/opt/etcd-3.4/bin"
etcd_data_dir = "/opt/etcd-3.4/data"
etcd_cert_dir = "/opt/etcd-3.4/ssl"
etcd_config_dir = "/opt/etcd-3.4/conf"
etcd_cert_files = {"server": "etcd.pem", "server_key": "etcd-key.pem"}
etcd_subject = {"C": "CN", "ST": "BeiJing", "L": "BeiJing", "O": "etcd", "OU": "System"}

etcd_config = {
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
    "max-request-bytes": 33554432,
    "quota-backend-bytes": 6442450944,
    "heartbeat-interval": 250,
    "election-timeout": 2000,
}

etcd_time_sync = True
etcd_time_servers = ["ntp1.aliyun.com"]
etcd_timezone = "Asia/Shanghai"

"""What the three servers of inventories/flannel.py share."""

_sudo = True  # the article worked as root; then ssh_user = "root" instead

etcd_cluster = "flannel"
# The article installed etcd 3.3.10 and flannel 0.10.0, which speaks etcd's API v2 alone. No release of etcd that is made
# here answers that; flannel speaks v3 since 0.18.0.
etcd_flannel_version = "0.28.10"
# etcd_flannel_sha256 = {"amd64": "…"}: nothing is installed without the digest of flannel's archive.

etcd_bin_dir = "/opt/k8s/bin"
etcd_cert_dir = "/etc/etcd/cert"
etcd_cert_files = {"server": "etcd.pem", "server_key": "etcd-key.pem"}

etcd_client_of = "flannel"
etcd_flannel_network = "172.30.0.0/16"  # the same as kube-controller-manager's --cluster-cidr
etcd_flannel_subnet_len = 21
etcd_flannel_bin_dir = "/opt/k8s/bin"
etcd_flannel_cert_dir = "/etc/flanneld/cert"
etcd_flannel_glue = "docker"
# Hosts with several interfaces, beside each of them: "etcd_flannel_iface": "eth1"

"""What the servers of inventories/kubernetes.py share."""

_sudo = True

etcd_cluster = "kubernetes"
# kubeadm refuses an external etcd before 3.5.24.
etcd_version = "3.6.14"

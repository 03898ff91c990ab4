"""What the three servers of inventories/static_pods.py share."""

_sudo = True  # the article worked as root; then ssh_user = "root" instead

etcd_cluster = "pods"
etcd_runtime = "static_pod"

# The article let kubeadm 1.27 choose 3.5.9. kubeadm since 1.31 takes no external etcd below 3.5.24.
# Upstream's own image exists for every release; kubeadm's registry.k8s.io/etcd:{version}-0 for some.
etcd_version = "3.6.14"

# CRI-O and kubelet come from the repositories of one minor version of Kubernetes.
etcd_container_runtime = "crio"
etcd_kubernetes_version = "1.37"

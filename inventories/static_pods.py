"""Three CentOS or Ubuntu servers whose members run as static pods of a kubelet, in front of a Kubernetes control plane.

Adapted from an article on external etcd for kubeadm. The addresses are examples: replace them by your own.
What all three share is in group_data/static_pods.py.
"""

etcd = [
    ("etcd01", {"ssh_hostname": "10.107.88.15", "etcd_address": "10.107.88.15"}),
    ("etcd02", {"ssh_hostname": "10.107.88.16", "etcd_address": "10.107.88.16"}),
    ("etcd03", {"ssh_hostname": "10.107.88.17", "etcd_address": "10.107.88.17"}),
]

"""Three CentOS servers with everything under one folder, /opt/etcd-3.4.

Adapted from an article on etcd 3.4 for Kubernetes 1.17 to 1.21. The addresses are examples: replace them by your own.
What all three share is in group_data/centos.py.
"""

etcd = [
    ("kube-10", {"ssh_hostname": "192.168.9.10", "etcd_address": "192.168.9.10", "etcd_name": "etcd01"}),
    ("kube-11", {"ssh_hostname": "192.168.9.11", "etcd_address": "192.168.9.11", "etcd_name": "etcd02"}),
    ("kube-13", {"ssh_hostname": "192.168.9.13", "etcd_address": "192.168.9.13", "etcd_name": "etcd03"}),
]

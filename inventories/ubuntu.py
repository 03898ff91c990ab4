"""Three Ubuntu servers, kept as plain as it gets.

Adapted from an article on etcd for Kubernetes. The addresses are examples: replace them by your own.
What all three share is in group_data/ubuntu.py.
"""

etcd = [
    ("etcd-1", {"ssh_hostname": "192.168.0.100", "etcd_address": "192.168.0.100"}),
    ("etcd-2", {"ssh_hostname": "192.168.0.101", "etcd_address": "192.168.0.101"}),
    ("etcd-3", {"ssh_hostname": "192.168.0.102", "etcd_address": "192.168.0.102"}),
]

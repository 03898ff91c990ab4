"""A CentOS and two Ubuntu servers: an etcd cluster, and flannel's network over the same three hosts.

Adapted from an article on etcd and flannel for Kubernetes. The addresses are examples: replace them by your own.
What all three share is in group_data/flannel.py. First deploys/etcd.py, then deploys/flannel.py.
"""

etcd = [
    ("master", {"ssh_hostname": "192.168.27.135", "etcd_address": "192.168.27.135"}),
    ("node1", {"ssh_hostname": "192.168.27.133", "etcd_address": "192.168.27.133"}),
    ("node2", {"ssh_hostname": "192.168.27.134", "etcd_address": "192.168.27.134"}),
]

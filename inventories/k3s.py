"""Three Raspberry Pis with Alpine that run etcd and, beside it, the k3s servers that keep their data in it.

Adapted from an article on k3s with an external etcd. The addresses are examples: replace them by your own.
What all three share is in group_data/k3s.py. First deploys/etcd.py, then deploys/k3s.py.
"""

etcd = [
    (
        name,
        {
            "ssh_hostname": address,
            # Peers and clients use the name, so every Pi must be able to resolve all three.
            "etcd_address": f"{name}.edge.huatai.me",
            "etcd_listen_address": address,
        },
    )
    for name, address in (
        ("x-k3s-m-1", "192.168.7.11"),
        ("x-k3s-m-2", "192.168.7.12"),
        ("x-k3s-m-3", "192.168.7.13"),
    )
]

# The same hosts; other ones would stand here as `etcd` does above. The first of them starts first.
k3s_servers = ["x-k3s-m-1", "x-k3s-m-2", "x-k3s-m-3"]

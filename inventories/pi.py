"""Three Raspberry Pis with Alpine in front of a k3s control plane.

Adapted from an article on k3s with an external etcd. The addresses are examples: replace them by your own.
What all three share is in group_data/pi.py.
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

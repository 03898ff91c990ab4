"""Three etcd servers, and two control planes that kubeadm makes in front of them.

Adapted from an article on etcd as an external cluster of Kubernetes. The addresses are examples: replace them by your own.
What all share is in group_data/kubernetes.py. First deploys/etcd.py, then deploys/kubernetes.py.
"""

etcd = [
    ("etcd01", {"ssh_hostname": "10.107.88.15"}),
    ("etcd02", {"ssh_hostname": "10.107.88.16"}),
    ("etcd03", {"ssh_hostname": "10.107.88.17"}),
]

# The first one is made by `kubeadm init`, the others join it.
control_planes = (
    [
        ("master01", {"ssh_hostname": "10.107.88.18"}),
        ("master02", {"ssh_hostname": "10.107.88.19"}),
    ],
    {
        "etcd_client_of": "kubernetes",
        "etcd_kubernetes_release": "v1.37.2",
        "etcd_kubernetes_endpoint": "10.107.88.9:6443",
        "etcd_kubernetes_cert_sans": ["test.example.poc"],
        "etcd_kubernetes_pod_subnet": "10.244.0.0/16",
        "etcd_kubernetes_cri_socket": "/var/run/crio/crio.sock",
    },
)

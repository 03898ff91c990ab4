"""Make k3s servers that keep their data in a cluster, one after the other."""

from etcd_steward.verbs import k3s

k3s()

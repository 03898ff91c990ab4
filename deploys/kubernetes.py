"""Prepare control planes in front of a cluster, and make the first one with kubeadm where that is asked for."""

from etcd_steward.verbs import kubernetes

kubernetes()

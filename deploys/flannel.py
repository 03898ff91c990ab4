"""Span flannel's network over all hosts that name it, with its configuration and leases in etcd."""

from etcd_steward.verbs import flannel

flannel()

"""Prove that a snapshot can be restored, in a throw-away etcd on one host."""

from etcd_steward.verbs import drill

drill()

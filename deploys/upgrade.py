"""Bring a running cluster to another release, one minor version and one member at a time."""

from etcd_steward.verbs import upgrade

upgrade()

"""Print one table of all members; with -y the exit status is 0 only while the cluster is healthy."""

from etcd_steward.verbs import status

status()

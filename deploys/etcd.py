"""Make the cluster, or bring every member to what the settings say."""

from etcd_steward.verbs import etcd

etcd()

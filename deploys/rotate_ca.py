"""Give a running cluster new authorities, while its clients keep working."""

from etcd_steward.verbs import rotate_ca

rotate_ca()

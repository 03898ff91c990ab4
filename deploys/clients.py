"""Give clients of a cluster, on hosts with `etcd_client_of`, their certificates, and prove them."""

from etcd_steward.verbs import clients

clients()

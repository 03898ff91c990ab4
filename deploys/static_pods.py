"""Make a cluster whose members run as static pods of a kubelet, or bring it to what the settings say."""

from etcd_steward.verbs import static_pods

static_pods()

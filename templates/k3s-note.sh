# Written by etcd-steward; changes here are overwritten.
umask 077
noted >/run/k3s.started-with

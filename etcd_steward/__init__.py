"""Highly available, TLS-only etcd clusters on your own Linux machines, looked after with pyinfra."""

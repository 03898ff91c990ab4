"""Facts that ship with the package: release digests and etcd's configuration keys."""

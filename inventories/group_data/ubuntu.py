"""What the three servers of inventories/ubuntu.py share."""

_sudo = True

etcd_cluster = "ubuntu"
# The article installed 3.5.11. Of the same line 3.5.30 closes CVE-2026-44283, 3.5.32 is the first that can be upgraded
# to 3.6 safely (etcd#20809), and 3.5.33 closes GHSA-xg4h-6gfc-h4m8 and GHSA-6vch-q96h-7gc3;
# it is the newest 3.5 whose digests this package carries.
etcd_version = "3.5.33"

etcd_data_dir = "/var/lib/etcd/default.etcd"

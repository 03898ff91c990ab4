"""Take one member out of its cluster, and move what it leaves behind aside."""

from etcd_steward.verbs import remove

remove()

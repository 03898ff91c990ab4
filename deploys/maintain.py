"""Compact, defragment one member at a time, and end the alarm NOSPACE."""

from etcd_steward.verbs import maintain

maintain()

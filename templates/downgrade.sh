# Asks etcd itself for a downgrade, or ends one; needs ctl.sh and newest.sh.
# Set before: endpoint prefix line (none: end it)
newest "$prefix"
if [ "$line" = none ]; then ctl "$endpoint" downgrade cancel
else ctl "$endpoint" downgrade validate "$line" && ctl "$endpoint" downgrade enable "$line"; fi && say agreed || say "refused $(why)"

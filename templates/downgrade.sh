# Asks etcd itself for a downgrade; needs ctl.sh.
# Set before: endpoint line
ctl "$endpoint" downgrade validate "$line" && ctl "$endpoint" downgrade enable "$line" && say allowed

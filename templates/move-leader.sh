# Moves leadership to another voter; needs ctl.sh.
# Set before: endpoint heir
ctl "$endpoint" move-leader "$heir" >/dev/null && say moved

# Moves leadership to another voter; needs ctl.sh.
# Set before: endpoint heir
if ctl "$endpoint" move-leader "$heir"; then say moved; else say "refused $(why)"; fi

# Reads what flannel has in etcd. Needs ctl.sh.
# Set before: endpoint prefix
if ctl "$endpoint" get "$prefix/" --prefix -w json; then say "keys $answer"
else say "denied $(why)"; fi

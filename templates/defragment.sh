# Writes one member's database anew; it serves nothing meanwhile. Needs ctl.sh.
# Set before: endpoint seconds
if answer=$(ctl "$endpoint" --command-timeout="${seconds}s" defrag); then exit 0; fi
echo "found that etcd does not defragment ($(say "$answer" | why)), wanted it done; next: look at its log, then run again" >&2
exit 1

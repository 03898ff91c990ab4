# Tells which part of the network this host has, and which leases etcd knows, by the client's own files. Needs ctl.sh and
# service.sh.
# Set before: endpoint prefix device service
say "init $init"
tell_service "$service"
# One that is older than the process was left by the one before it.
[ -f /run/flannel/subnet.env ] && ! [ /run/flannel/started-with -nt /run/flannel/subnet.env ] && while IFS= read -r line; do say "env $line"; done </run/flannel/subnet.env
ip -o addr show 2>/dev/null | awk '{ split($4, a, "/"); print "address " $2 " " a[1] }'
[ -d "/sys/class/net/$device" ] && say "device $device"
if ctl "$endpoint" get "$prefix/" --prefix -w json; then say "keys $answer"
else say "denied $(why)"; fi

# Tells everything that a decision about flannel needs of one host, as lines of `word rest`. Reads only, never fails.
# Needs service.sh, addresses.sh, certificates.sh, neighbours.sh and at-boot.sh.
# Set before: glue dockerd daemon_json (where the operator's own command has it) dir bin_dir files certificate service modules sysctls device port
say "look 1"
say "uid $(id -u)"
say "machine $(uname -m)"
say "init $init"
tell_service "$service"
for folder in "$dir"/*/; do
  [ -x "${folder}flanneld" ] && [ -f "${folder}.archive-sha256" ] && say "release $(basename "$folder")"
done
for tool in flanneld mk-docker-opts.sh; do [ -e "$bin_dir/$tool" ] && say "link $tool $(readlink -f "$bin_dir/$tool")"; done
for file in $files; do
  if [ -f "$file" ]; then
    sum=$(sha256sum <"$file") && say "file ${sum%% *} $(stat -c '%a %U:%G' "$file") $file"
    grep -q 'ritten by etcd-steward' "$file" || say "unmarked $file"
  fi
done
for module in $modules; do [ -d "/sys/module/$module" ] && say "module $module"; done
# A module that is part of the kernel may have no folder there; this is what the bridge's is wanted for.
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && say "module br_netfilter"
for name in $sysctls; do [ -r "/proc/sys/$name" ] && say "sysctl $name $(cat "/proc/sys/$name")"; done
for name in $sysctls; do say "boot $name $(at_boot "$name")"; done
if command -v firewall-cmd >/dev/null 2>&1 && firewall-cmd --state >/dev/null 2>&1; then
  open=no
  firewall-cmd --quiet --query-port="$port/udp" 2>/dev/null && firewall-cmd --quiet --permanent --query-port="$port/udp" 2>/dev/null && open=yes
  say "firewall firewalld $open"
fi
if command -v ufw >/dev/null 2>&1 && LC_ALL=C ufw status 2>/dev/null | grep -q '^Status: active'; then
  open=no
  LC_ALL=C ufw status 2>/dev/null | grep -qE "^$port/udp +ALLOW" && open=yes
  say "firewall ufw $open"
fi
[ -f /run/flannel/started-with ] && while read -r line _; do say "started $line"; done </run/flannel/started-with
certificates_in "$certificate" pem
[ -f /run/flannel/subnet.env ] && while IFS= read -r line; do say "env $line"; done </run/flannel/subnet.env
tell_addresses address
[ -d "/sys/class/net/$device" ] && say "device $device"
for tool in iptables nft; do
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    [ -x "$folder/$tool" ] && { say "tool $tool"; break; }
  done
done
if [ "$glue" = docker ] && [ "$init" = systemd ]; then
  unit=$(systemctl cat docker.service 2>/dev/null)
  [ -n "$unit" ] && printf '%s\n' "$unit" | while IFS= read -r line; do say "docker $line"; done
  for program in $(printf '%s\n' "$unit" "ExecStart=$dockerd" | sed -n 's/^ExecStart *= *[-@:+!]*\([^ ]\{1,\}\).*/\1/p' | sort -u); do
    [ -x "$program" ] && say "program $program"
  done
  # What docker reads beside its flags.
  [ -n "$daemon_json" ] || daemon_json=$(printf '%s\n' "$unit" | sed -n 's/^ExecStart *=.*--config-file[= ]\([^ ]\{1,\}\).*/\1/p' | tail -n 1)
  beside json "${daemon_json:-/etc/docker/daemon.json}"
fi
if [ "$glue" = cni ]; then
  # Of these a container runtime takes the first by name.
  count=0
  for file in /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist /etc/cni/net.d/*.json; do
    [ -f "$file" ] && [ "$count" -lt 100 ] && count=$((count + 1)) && say "cni $file"
  done
fi
[ -x /opt/cni/bin/flannel ] && say "tool flannel-cni"
say "end"

# Tells what of kubelet's needs a host has; needs asked.sh, swappers.sh and neighbours.sh.
# Set before: modules sysctls container_runtime
look_at_node() {
  awk 'NR > 1 { print "node swap " $1 }' /proc/swaps 2>/dev/null
  awk '$1 !~ /^#/ && $3 == "swap" { print "node swap " $1 " in /etc/fstab" }' /etc/fstab 2>/dev/null
  [ "$(systemctl is-enabled swap.target 2>/dev/null)" = masked ] || say "node swap at boot"
  for unit in $(swappers); do say "node swap $unit at boot"; done
  for module in $modules; do
    case $module in
      overlay) grep -qw overlay /proc/filesystems && say "node module overlay" ;;
      br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && say "node module br_netfilter" ;;
    esac
  done
  for setting in $sysctls; do
    at=/proc/sys/$(printf '%s' "$setting" | tr . /)
    [ -e "$at" ] && say "node sysctl $setting=$(cat "$at")"
  done
  for program in kubelet "$container_runtime"; do
    # sudo may look for programs in fewer folders than systemd does.
    if command -v "$program" >/dev/null 2>&1 || [ -x "/usr/local/bin/$program" ]; then say "node program $program"; fi
  done
  for note in /opt/cri-o/*/.cri-o-sha256; do [ -f "$note" ] && say "node bundle $(basename "${note%/*}")"; done
  for at in /usr/bin/kubelet "$(command -v kubelet 2>/dev/null)" /usr/local/bin/kubelet; do
    if [ -x "$at" ]; then say "node kubelet-at $at" && break; fi
  done
  say "node kubelet $(readlink -f /usr/bin/kubelet 2>/dev/null)"
  for unit in /usr/lib/systemd/system/kubelet.service /lib/systemd/system/kubelet.service; do
    [ -f "$unit" ] && say "node packaged-unit kubelet.service"
  done
  for unit in kubelet.service "$container_runtime.service"; do
    told=$(systemctl show "$unit" -p ActiveState -p UnitFileState -p NeedDaemonReload 2>/dev/null)
    case $told in *NeedDaemonReload=yes*) continue ;; esac
    case $told in *ActiveState=active*UnitFileState=enabled*) say "node unit $unit" ;; esac
  done
  grep -qsx /etc/containerd/config.toml /var/lib/dpkg/info/containerd.conffiles && say "node packaged-config containerd"
  [ "$container_runtime" != containerd ] || say "node containerd $(told_version containerd containerd)"
  # Of several files the last by name counts.
  if [ "$container_runtime" = crio ]; then
    for file in /etc/crio/crio.conf.d/*.conf; do
      [ -f "$file" ] && grep -qE "^[[:space:]]*(crio\\.runtime\\.)?cgroup_manager[[:space:]]*=[[:space:]]*[\"']cgroupfs" "$file" && say "node cgroupfs $file"
    done
  fi
  # Ours takes its place as a whole; what a package or the program itself makes of it is nobody's work.
  toml=/etc/containerd/config.toml
  if [ "$container_runtime" = containerd ] && [ -e "$toml" ] && ! grep -qs 'ritten by etcd-steward' "$toml" && ! stock "$toml"; then
    beside toml "$toml"
  fi
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then say "node cgroup v2"; else say "node cgroup v1"; fi
}
# stock FILE: whether containerd's configuration is as its package brought it, or as containerd writes its own defaults, whichever
# way it keeps cgroups.
stock() {
  sum=$(md5sum <"$1") || return 1
  awk -v file="$1" -v sum="${sum%% *}" '$1 == file && $2 == sum { found = 1 } END { exit !found }' /var/lib/dpkg/status 2>/dev/null && return
  sum=$(sha256sum <"$1") || return 1
  rpm -q --qf '[%{FILENAMES} %{FILEDIGESTS}\n]' -f "$1" 2>/dev/null | grep -qxF -e "$1 ${sum%% *}" && return
  own=$(containerd config default 2>/dev/null </dev/null | simplified)
  [ -n "$own" ] && [ "$own" = "$(simplified <"$1")" ]
}
simplified() { sed -e 's/[[:space:]]//g' -e '/^$/d' -e 's/SystemdCgroup=true/SystemdCgroup=false/'; }

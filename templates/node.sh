# Makes a host fit for kubelet: swap off and kept off, modules, kernel settings, and both services running with their files. Needs swappers.sh.
# Set before: swap modules sysctls kubelet (the release to link) units runtime_unit changed (runtime kubelet: whose files were written) manifests
set -e
if [ -n "$swap" ]; then
  # First, as each also takes away what it has made. What cannot be masked, as its definition lies in /etc, is disabled.
  for unit in $(swappers); do
    systemctl stop "$unit" || echo "stopping $unit failed; swap is switched off all the same" >&2
    systemctl disable --quiet "$unit" 2>/dev/null || :
    systemctl mask --quiet "$unit" 2>/dev/null || :
  done
  left=$(swappers)
  if [ -n "$left" ]; then
    echo "found $left, which still switches swap on at boot, wanted no such service; next: systemctl disable $left" >&2
    exit 1
  fi
  if awk 'NR > 1 { found = 1 } END { exit !found }' /proc/swaps; then swapoff -a; fi
  if awk '$1 !~ /^#/ && $3 == "swap" { found = 1 } END { exit !found }' /etc/fstab 2>/dev/null; then
    # In one step, as a host without this file does not boot.
    cp -p /etc/fstab /etc/fstab.steward
    awk '$1 !~ /^#/ && $3 == "swap" { print "# switched off by etcd-steward: " $0; next } { print }' /etc/fstab >/etc/fstab.steward
    [ -e /etc/fstab.before-etcd-steward ] || cp -p /etc/fstab /etc/fstab.before-etcd-steward
    mv -f /etc/fstab.steward /etc/fstab
  fi
  # Also what systemd itself would find, such as zram or a partition of that type.
  systemctl mask --quiet swap.target
fi
for module in $modules; do modprobe "$module"; done
for pair in $sysctls; do sysctl -q -w "$pair"; done
(umask 022 && mkdir -p "$manifests")
if [ -n "$kubelet" ]; then
  at=/usr/bin/kubelet
  if [ -e "$at" ] && ! [ -L "$at" ]; then mv "$at" "$at.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
  ln -s "$kubelet" "$at.$$"
  mv -f "$at.$$" "$at"
fi
systemctl daemon-reload
for unit in $units; do systemctl enable --quiet "$unit"; done
for word in $changed; do
  case $word in
    # Neither ends the containers that it has started.
    runtime) systemctl restart "$runtime_unit" ;;
    kubelet) systemctl restart --no-block kubelet.service ;;
  esac
done
for unit in $units; do systemctl start --no-block "$unit"; done

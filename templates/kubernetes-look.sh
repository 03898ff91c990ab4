# Tells what of Kubernetes is on a host, as lines of `word rest`. Reads only, never fails; needs service.sh and asked.sh.
# Set before: files prefix tools log
say "look 1"
say "machine $(uname -m)"
say "init $init"
say "hostname $(uname -n)"
# kubeadm leaves this behind where a node is called otherwise than its host.
sed -n 's/.*--hostname-override=\([A-Za-z0-9.-]\{1,\}\).*/node-name \1/p' /var/lib/kubelet/kubeadm-flags.env 2>/dev/null |
  while read -r line; do say "$line"; done
grep -E '^(ID|ID_LIKE|PRETTY_NAME)=' /etc/os-release 2>/dev/null | while IFS= read -r line; do say "os $line"; done
for file in $files; do
  [ -f "$file" ] || continue
  sum=$(sha256sum <"$file") && say "file ${sum%% *} $(stat -c '%a %U:%G' "$file") $file"
done
PATH=$PATH:/usr/local/bin:/usr/bin
for tool in $tools; do
  at=$(command -v "$tool") || continue
  say "tool $tool $at $(told_version "$tool" "$at")"
  [ -e "$prefix" ] && say "at $tool $(readlink -f "$at")"
done
for mark in "$prefix"/*/.*-sha256; do [ -f "$mark" ] && say "staged $(basename "${mark%/*}") $(basename "$mark")"; done
[ -e /etc/kubernetes/admin.conf ] && say "admin yes"
[ -f "$log" ] && { grep -q "^etcd-steward: kubeadm init has ended well" "$log" && say "log whole" || say "log cut"; }
[ -e /etc/systemd/system/multi-user.target.wants/kubelet.service ] && say "kubelet enabled"
say "end"

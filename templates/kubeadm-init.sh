# Makes the first control plane. What kubeadm prints holds a token and a key to its certificates: only root can read it.
# Set before: config log
set -e
umask 077
if [ -e /etc/kubernetes/admin.conf ]; then
  echo "found /etc/kubernetes/admin.conf, wanted none; next: look who has made this control plane" >&2
  exit 1
fi
if [ -e "$log" ]; then mv "$log" "$log.$(date -u +%Y%m%dT%H%M%SZ)-$$"; fi
PATH=$PATH:/usr/local/bin
# What it starts lives on: it must not inherit the guard's lock.
if ! kubeadm init --config "$config" --upload-certs >"$log" 2>&1 </dev/null 9>&-; then
  { grep -E '\[ERROR |^error execution' "$log" || echo "no [ERROR …] in its output"; } | head -n 5 >&2
  echo "found that kubeadm init failed, wanted a control plane; next: look into $log on this host, as root" >&2
  exit 1
fi
echo "etcd-steward: kubeadm init has ended well" >>"$log"

# Lets kubeadm itself judge the configuration that was just written; one that it refuses is put aside, and what lay there comes back.
# Set before: config; the file as it was lies in $config.before
PATH=$PATH:/usr/local/bin
if ! said=$(kubeadm config validate --config "$config" 2>&1 >/dev/null </dev/null); then
  mv -f "$config" "$config.refused"
  if [ -e "$config.before" ]; then mv -f "$config.before" "$config"; fi
  echo "found that kubeadm refuses its configuration: $(printf '%s\n' "$said" | grep -i '^error' | head -n 1)" >&2
  echo "wanted one that it takes; next: correct etcd_kubernetes_… (what was refused is kept as $config.refused)" >&2
  exit 1
fi
rm -f "$config.before"

# Tells whether a Kubernetes keeps its keys in this cluster, by a few of their names; needs ctl.sh.
# Set before: endpoint
for prefix in /registry/ /bootstrap/; do
  if ctl "$endpoint" get "$prefix" --prefix --keys-only --limit=20; then
    printf '%s\n' "$answer" | grep "^$prefix" | while IFS= read -r name; do echo "key $name"; done
    echo "asked $prefix"
  else say "unread $(why)"; fi
done

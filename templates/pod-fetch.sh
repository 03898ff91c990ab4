# Brings an image to a host while its member still serves; without crictl kubelet brings it when it starts the pod.
# Set before: socket image
command -v crictl >/dev/null 2>&1 || exit 0
crictl -r "$socket" -i "$socket" inspecti "$image" >/dev/null 2>&1 && exit 0
if ! said=$(crictl -r "$socket" -i "$socket" pull "$image" 2>&1 >/dev/null); then
  echo "found no image $image ($(printf '%s\n' "$said" | tail -n 1)), wanted it on this host; next: see to its registry, or set etcd_image" >&2
  exit 1
fi

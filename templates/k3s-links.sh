# Lets k3s answer to the names of its tools, where the host has no others.
# Set before: bin_dir
for tool in kubectl crictl ctr; do
  if ! command -v "$tool" >/dev/null 2>&1 && ! [ -e "$bin_dir/$tool" ]; then ln -s k3s "$bin_dir/$tool"; fi
done

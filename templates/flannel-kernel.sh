# Loads modules, and sets what the kernel has to know now; the files that keep it so over a reboot are there already.
# Set before: modules sysctls
for module in $modules; do
  if ! modprobe "$module" 2>/dev/null; then
    echo "found no kernel module $module, wanted it loaded; next: install the kernel's further modules (Ubuntu on a Raspberry Pi:" \
      "linux-modules-extra-raspi), or leave it out of etcd_flannel_modules where it is not needed" >&2
    exit 1
  fi
done
for name in $sysctls; do
  if ! echo 1 >"/proc/sys/$name"; then
    echo "found /proc/sys/$name that cannot be set, wanted 1; next: set it where this host's kernel is managed" >&2
    exit 1
  fi
done

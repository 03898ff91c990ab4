# Tells the running machine from any other: the kernel's boot, and the namespaces, since containers share a kernel.
# What lies on a disk, such as a machine id, is copied with it. Without all of it nothing is told.
tell_machine() {
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) || return 0
  [ -n "$boot" ] || return 0
  spaces=
  for space in pid net uts; do
    at=$(readlink "/proc/self/ns/$space" 2>/dev/null) && [ -n "$at" ] || return 0
    spaces="$spaces:${at#*:}"
  done
  say "mark $boot$spaces"
}

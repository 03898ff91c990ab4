# Tells on what folders lie; needs say.
# The number that the kernel gives a path's file system; busybox knows names for a few only.
magic() { stat -f -c %t "$1" 2>/dev/null || echo -; }
# Prints a path, or of what is above it the nearest that is there.
nearest() {
  at=$1
  while [ ! -e "$at" ]; do at=$(dirname "$at"); done
  printf '%s\n' "$at"
}
# Usage: storage WORD PATH. Says the number, the mount's type and device, and the number below an overlay's upper folder.
storage() {
  at=$(readlink -f "$(nearest "$2")")
  # The longest mount point counts, and of two at one place the later; what awk prints has no spaces inside its words.
  mount=$(at=$at awk '$2 == "/" || index(ENVIRON["at"] "/", $2 "/") == 1 { if (length($2) >= n) { n = length($2); found = $3 " " $1 " " $4 } } END { print found }' /proc/self/mounts 2>/dev/null)
  mount=${mount:-- - -}
  upper=-
  case $mount in
    overlay\ *upperdir=*)
      folder=${mount##*upperdir=}
      folder=${folder%%,*}
      if [ -e "$folder" ]; then upper=$(magic "$folder")
      # Raspberry Pi OS' own overlay lies on a tmpfs that its initramfs hides.
      elif [ "$folder" = /upper/data ] && grep -qw boot=overlay /proc/cmdline; then upper=1021994; fi ;;
  esac
  say "storage $1 $(magic "$at") ${mount% *} $upper"
}

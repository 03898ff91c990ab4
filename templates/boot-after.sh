# Closes the boot partition again where it was not open for writing; needs boot-before.sh.
sync
if [ -n "$was_closed" ]; then mount -o remount,ro "$disk"; fi

# swappers: prints the units of systemd that switch swap on at boot apart from swap.target, which is masked on its own: those of
# packages by their names, and any whose own command does. Only those that boot starts are told.
swappers() {
  {
    # Raspberry Pi OS, Debian's zram-tools, Ubuntu's zram-config, Armbian, and others that go by such names.
    for unit in dphys-swapfile zramswap zram-config armbian-zram-config systemd-swap swapspace zram-swap zram-init; do
      for file in "/etc/init.d/$unit" /etc/systemd/system/$unit.service /usr/lib/systemd/system/$unit.service /lib/systemd/system/$unit.service; do
        [ -f "$file" ] && printf '%s\n' "$unit.service"
      done
    done
    for folder in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
      grep -lsE '^[[:space:]]*ExecStart(Pre|Post)?[[:space:]]*=.*swapon([^[:alnum:]_-]|$)' "$folder"/*.service
      # One for swap itself may hang on another target than swap.target.
      for unit in "$folder"/*.swap; do [ -f "$unit" ] && printf '%s\n' "$unit"; done
    done
  } 2>/dev/null | sed 's|.*/||' | sort -u | while read -r unit; do
    case $unit in *[!A-Za-z0-9@._:-]* | *@.*) continue ;; esac
    case $(systemctl is-enabled "$unit" 2>/dev/null) in enabled | enabled-runtime | generated) printf '%s\n' "$unit" ;; esac
  done
}

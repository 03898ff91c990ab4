# at_boot NAME: prints value and file that a kernel setting, as a path below /proc/sys, gets at the next boot; nothing where no
# file tells. Of files of one name that of the first folder counts, then the last by name. Set before: init
at_boot() {
  {
    for folder in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
      for file in "$folder"/*.conf; do [ -f "$file" ] && printf '%s %s\n' "${file##*/}" "$file"; done
    done | awk '!seen[$1]++' | sort | while read -r _ file; do given_in "$1" "$file"; done
    # systemd reads it only by way of a link in a folder.
    if [ "$init" = openrc ]; then given_in "$1" /etc/sysctl.conf; fi
  } | tail -n 1
}
given_in() { # name file
  [ -f "$2" ] && awk -v wanted="$1" -v file="$2" '
    /^[ \t]*[#;]/ { next }
    {
      at = index($0, "=")
      name = substr($0, 1, at - 1)
      sub(/^[ \t]*-/, "", name)
      gsub(/[ \t]/, "", name)
      gsub(/\./, "/", name)
      # Two names for one thing.
      if (name == "net/ipv4/conf/all/forwarding") name = "net/ipv4/ip_forward"
      if (at == 0 || name != wanted) next
      value = substr($0, at + 1)
      gsub(/[^A-Za-z0-9.-]/, "", value)
      print substr(value, 1, 40), file
    }' "$2"
}

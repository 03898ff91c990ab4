# Tells the init system and what it says of flannel's service.
# Set before: service
say() { printf '%s\n' "$*"; }
tell_service() {
  if [ -d /run/systemd/system ]; then init=systemd; elif [ -e /run/openrc/softlevel ]; then init=openrc; else init=none; fi
  say "init $init"
  case $init in
    systemd)
      systemctl show "$service.service" -p LoadState -p ActiveState -p SubState -p UnitFileState -p FragmentPath \
        -p NeedDaemonReload 2>/dev/null | while IFS= read -r line; do say "service $line"; done
      ;;
    openrc)
      if [ -e "/etc/init.d/$service" ]; then
        rc-service "$service" status >/dev/null 2>&1; say "service Status=$?"
        [ -e "/etc/runlevels/default/$service" ] && say "service UnitFileState=enabled"
        say "service FragmentPath=/etc/init.d/$service"
      fi
      ;;
  esac
}

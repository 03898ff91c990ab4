# Names the init system, and tells what it says of a service.
# Writes one line of an answer, whatever is in it: a line break in a name or an error begins no line of its own.
say() { case $* in *[[:cntrl:]]*) printf '%s\n' "$(printf '%s' "$*" | tr '[:cntrl:]' '?')" ;; *) printf '%s\n' "$*" ;; esac; }
if [ -d /run/systemd/system ]; then init=systemd; elif [ -e /run/openrc/softlevel ]; then init=openrc; else init=none; fi
tell_service() { # name
  case $init in
    systemd)
      systemctl show "$1.service" -p LoadState -p ActiveState -p SubState -p UnitFileState -p FragmentPath \
        -p NeedDaemonReload 2>/dev/null | while IFS= read -r line; do say "service $line"; done
      ;;
    openrc)
      if [ -e "/etc/init.d/$1" ]; then
        rc-service "$1" status >/dev/null 2>&1; say "service Status=$?"
        [ -e "/etc/runlevels/default/$1" ] && say "service UnitFileState=enabled"
        say "service FragmentPath=/etc/init.d/$1"
      fi
      ;;
  esac
}

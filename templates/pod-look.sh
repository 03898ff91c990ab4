# Finds the process of a member that runs as a static pod: a container's processes are seen on its host as well. Needs processes.sh.
# Set before: data_dir
pod_process() {
  etcds | while read -r pid _; do
    if arguments "$pid" | grep -qxF -e "--data-dir=$data_dir"; then echo "$pid" && break; fi
  done
}
# Tells what kubelet makes of the member; what it runs is what its manifest says, which it starts anew after every change.
look_at_pod() { # manifest wanted unsettled
  pid=$(pod_process)
  [ -z "$pid" ] || say "service Process=$pid"
  kubelet=$(systemctl is-active kubelet.service 2>/dev/null)
  say "service Kubelet=${kubelet:-unknown}"
  if [ -f "$1" ]; then
    say "service Manifest=$1"
    say "service UnitFileState=$(systemctl is-enabled kubelet.service 2>/dev/null)"
    if [ -n "$pid" ]; then
      sum=$(sed -E "/$3/d" "$1" | sha256sum) && say "started config ${sum%% *}"
      say "started authorities $(sed -n 's/^# authorities //p' "$1")"
    fi
  elif [ -f "$2" ]; then say "service Parked=$2"; fi
}

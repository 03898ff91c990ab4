# Tells whether a member is surely stopped: nothing listens on its ports, and no process holds its data; needs ctl.sh.
# Set before: ports data_dir
for port in $ports; do
  if listens ":$port"; then say "still port $port"; fi
done
for process in /proc/[0-9]*; do
  case $(readlink "$process/exe" 2>/dev/null) in */etcd | */etcd' '*) ;; *) continue ;; esac
  for file in "$process"/fd/*; do
    case $(readlink "$file" 2>/dev/null) in "$data_dir"/member/*) say "still process ${process#/proc/}"; break ;; esac
  done
done
say "looked"

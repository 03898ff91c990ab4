# Asks etcd with the host's own health-check pair.
# Set before: bin_dir ca cert key
# Writes one line of an answer, whatever is in it: a line break in a name or an error begins no line of its own.
say() { case $* in *[[:cntrl:]]*) printf '%s\n' "$(printf '%s' "$*" | tr '[:cntrl:]' '?')" ;; *) printf '%s\n' "$*" ;; esac; }
# Writes a text as it is, for what reads it here.
lines() { printf '%s\n' "$@"; }
# Runs a tool and keeps its streams apart: answer is what it wrote to its output, and nothing else is ever parsed; said
# is what it wrote to its errors, where tools also put warnings of a question that they answered. Every tool whose
# answer is read is run so. Both wait in the shell's own memory, so that nothing is left behind by one that is killed.
hear() { # command...
  mark=":$$: answer"
  heard=$(
    { answer=$("$@") && ended=0 || ended=$?; } 2>&1
    printf '\n%s\n%s' "$mark" "$answer"
    exit "$ended"
  ) && ended=0 || ended=$?
  case $heard in
    "
$mark"*) said='' ;;
    *) said=$(lines "$heard" | sed "/^$mark\$/,\$d") heard="
$(lines "$heard" | sed -n "/^$mark\$/,\$p")" ;;
  esac
  answer=${heard#"
$mark
"}
  # A command substitution takes line breaks away from the end, so one without an answer ends with the mark.
  [ "$answer" != "$heard" ] || answer=
  return "$ended"
}
ctl() { hear become_ctl "$@"; } # endpoint command...
# etcdctl has limits of its own, but a broken one, or one on a disk that hangs, never ends; busybox before 1.30 has other options.
limit=
if timeout -s KILL 9 true 2>/dev/null; then limit='timeout -s KILL'; fi
# Becomes etcdctl, so that who starts it in the background knows its process.
become_ctl() { # endpoint command...
  at=$1
  shift
  exec ${limit:+$limit ${longest:-60}} "$bin_dir/etcdctl" --endpoints="$at" --cacert="$ca" --cert="$cert" --key="$key" --dial-timeout=2s \
    --command-timeout=4s "$@"
}
# Tells whether a member reads linearizably. etcdctl's check fails under every alarm, once its read succeeded (3.5 and
# later): without space a member still serves, and can be given more; under any other it is not well.
healthy() { # endpoint
  ctl "$1" endpoint health && return 0
  case $(lines "$said" | grep ' is unhealthy: .*Active Alarm(s): ') in
    *CORRUPT* | *UNKNOWN*) return 1 ;;
    *"Active Alarm(s): NOSPACE"*) return 0 ;;
  esac
  return 1
}
# Tells whether anything listens on a port of this host: where nothing does, etcdctl would try for seconds.
listens() { # endpoint
  grep -qE ":$(printf '%04X' "${1##*:}") [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null
}
# Tells whether etcd's authentication refused what was asked, as it knows no user of ours (etcd 3.4 to 3.7).
locked() {
  case $(why) in
    *"etcdserver: permission denied"* | *"user name is empty"* | *"user name not found"* | *"auth: user not found"*) ;;
    *) return 1 ;;
  esac
}
# Says why what was heard is no answer: the last connection error out of etcdctl's JSON warnings, else its last line but
# the summary, else what it gave for an answer. It is never without a word.
why() {
  reason=$(lines "$said" | sed -n 's/.*\(connection error: .*\)/\1/p' | tail -n 1 | tr -d '"\\}')
  [ -n "$reason" ] || reason=$(lines "$said" | grep -v -e '^{' -e '^Error: unhealthy cluster' -e '^[[:space:]]*$' | tail -n 1)
  [ -n "$reason" ] || reason=$(lines "$said" | sed -n 's/.*"error":"\(.*\)"}.*/\1/p' | tail -n 1)
  [ -n "$reason" ] || reason=$(lines "$answer" | grep -v '^[[:space:]]*$' | tail -n 1 | head -c 200)
  say "${reason:-no word of it, and exit status $ended}"
}

# Finds running etcds by their executable and account, in /proc: a command line says what anybody wants, and some hosts have no ps.
# Set before: data_dir, and user where there is one
arguments() { tr '\n\000' '?\n' 2>/dev/null <"/proc/$1/cmdline"; } # process: prints one a line
# Of those that could be the member: root's, the account's, or of who owns the data. Any other account may call a program so.
# Prints of each its number, its program, and the configuration file, else the data folder, that it was given.
etcds() {
  accounts="0 $(id -u "$user" 2>/dev/null) $(stat -c %u "$data_dir" 2>/dev/null)"
  # One process for each question, and what it finds is looked at again.
  {
    env LC_ALL=C ls -l /proc/[0-9]*/exe 2>/dev/null | sed -nE 's#.* /proc/([0-9]+)/exe -> .*/(etcd|qemu-[^/]*)( \(deleted\))?$#\1#p'
    # In a container root may be forbidden to read that of another account: then what the kernel calls the process counts.
    grep -lx etcd /proc/[0-9]*/comm 2>/dev/null | sed -n 's#^/proc/\([0-9]*\)/comm$#\1#p'
  } | sort -un | while read -r pid; do
    # Not the owner of the folder in /proc: of a program that its account cannot read that is root.
    owner=$(awk '/^Uid:/ { print $3; exit }' "/proc/$pid/status" 2>/dev/null)
    case " $accounts " in *" ${owner:-none} "*) ;; *) continue ;; esac
    at=$(readlink "/proc/$pid/exe" 2>/dev/null) || at=$(arguments "$pid" | head -n 1)
    [ -n "$at" ] || continue
    at=${at% (deleted)} first=$(arguments "$pid" | head -n 1)
    case $at in
      */etcd) ;;
      # Where another machine's programs are emulated, it is the emulator that runs.
      */qemu-*) at=$(arguments "$pid" | head -n 3 | grep '/etcd$' | head -n 1) && [ -n "$at" ] || continue ;;
      *) continue ;;
    esac
    # The drill's own.
    case $first in throw-away | */throw-away) continue ;; esac
    file=$(was_given "$pid")
    # It may have ended while it was read, as one does that crashes on every start: what was not read is not what it was given.
    [ -n "$(arguments "$pid")" ] || continue
    printf '%s %s %s\n' "$pid" "$(printf '%s' "$at" | tr ' [:cntrl:]' '?')" "$file"
  done
}
# Prints the configuration file, else the data folder, that a process was given.
was_given() { # process
  arguments "$1" | awk '
    next_is { at = at "=" $0; next_is = 0; next }
    /^--?config-file/ || (at == "" && /^--?data-dir/) { at = $0; sub(/^--?/, "--", at); next_is = at !~ /=/ }
    END { print at }'
}

# Goes into folders so that nobody else can have led root elsewhere: one step after the other from /, and from there on by
# names without a folder. Where another account may change names, no link is followed, and work is done in a room of our own.
me=$(id -u)
strayed() { # found next
  # shellcheck disable=SC2034 # who answers by its output reads it
  astray="found $1, wanted a way there that no other account can change; next: $2"
  echo "$astray" >&2
  return 1
}
# Tells what others may do to names in the folder that we are in: nothing, or only to their own (as in /tmp), or all.
named_by() {
  # shellcheck disable=SC2046 # two numbers and a name
  set -- $(stat -c '%u %g %a' .)
  case $1 in 0 | "$me") ;; *) echo all; return ;; esac
  case $3 in
    [1357]???) echo own ;;
    *[2367]) echo anybody ;;
    *[2367]?) if [ "$2" = 0 ]; then echo nothing; else echo all; fi ;;
    *) echo nothing ;;
  esac
}
# Makes what is missing. Where the folder was the last one as well, we are there.
entered='' astray=''
enter() { # folder
  if [ "$entered" = "$1" ]; then return 0; fi
  entered='' rest=$1 foreign='' steps=0
  cd / || return 1
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#"${rest%%/*}"} rest=${rest#/}
    case $part in '' | .) continue ;; ..) cd -P .. || return 1; continue ;; esac
    here=$(pwd -P) here=${here%/}
    may=$(named_by)
    case $may in
      anybody)
        strayed "$here writable by everybody" "chmod o-w $here on the host, or set another folder"
        return 1
        ;;
      all) foreign=yes ;;
      own) case $(stat -c %u "./$part" 2>/dev/null) in '' | 0 | "$me") ;; *) foreign=yes ;; esac ;;
    esac
    if [ -L "./$part" ]; then
      steps=$((steps + 1)) to=$(readlink "./$part")
      if [ -n "$foreign" ] || [ "$steps" -gt 20 ]; then
        strayed "a link at $here/$part that another account may have made" "put a folder there, or set another one"
        return 1
      fi
      rest=$to/$rest
      case $to in /*) cd / || return 1 ;; esac
      continue
    fi
    [ -d "./$part" ] || (umask 022 && mkdir "./$part") || return 1
    cd -P "./$part" || return 1
    # Where another account changes names, a folder may have become a link a moment ago.
    if [ -n "$foreign" ] && [ "$(pwd -P)" != "$here/$part" ]; then
      strayed "that $here/$part changes while it is entered" "look at who works there"
      return 1
    fi
  done
  if [ "$(named_by)" = anybody ]; then
    strayed "$(pwd -P) writable by everybody" "chmod o-w $(pwd -P) on the host, or set another folder"
    return 1
  fi
  entered=$1
}
# Goes into a folder from which root runs programs: nobody else may change them, nor lead there.
enter_programs() { # folder
  enter "$1" || return 1
  if [ -n "$foreign" ] || [ "$(named_by)" != nothing ]; then
    strayed "$1, in which another account can change the programs that root runs" "give that folder and all above it to root, or set another one"
  fi
}
# Tells whether the folder that we are in is one of our own, in which nobody else can do anything.
is_own() { case $(stat -c '%u %a' .) in "$me 700" | "$me 2700") ;; *) return 1 ;; esac; }
# Goes into a folder of our own inside the one that we are in, and makes it; `leave_room` takes it away again.
own_room() {
  here=$(pwd -P) at=.steward
  if (umask 077 && mkdir "./$at" 2>/dev/null) || { [ ! -L "./$at" ] && [ "$(stat -c '%u' "./$at")" = "$me" ]; }; then :
  else at=$(umask 077 && mktemp -d ./.steward.XXXXXX) || return 1; at=${at#./}; fi
  into_room
}
into_room() { # goes into the one that is called $at
  was=$entered entered='' here=$(pwd -P)
  cd -P "./$at" && is_own && [ "$(pwd -P)" = "${here%/}/$at" ] ||
    strayed "that $here/$at is not the folder that was made there" "look at who works there"
}
# Without -P a shell goes to the name that it came by, and another account may have put a link there meanwhile.
leave_room() {
  entered=''
  cd -P .. && [ "$(pwd -P)" = "$here" ] || { strayed "that $here/$at is no longer there" "look at who works there"; return 1; }
  rmdir "./$at" 2>/dev/null || :
  entered=$was
}

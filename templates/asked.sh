# How programs are asked for their version: each in its own words, none by way of a server; only stdout is an answer.
# asked NAME: prints the words. kubectl knows no --version, and without --client it asks an API server.
asked() {
  case $1 in
    kubectl) echo "version --client" ;;
    kubeadm) echo "version -o short" ;;
    etcdctl | etcdutl) echo "version" ;;
    *) echo "--version" ;;
  esac
}
# told_version NAME PATH: prints the release that the program tells, as 1.2.3 or v1.2.3; nothing where it tells none.
told_version() {
  words=$(asked "$1")
  case $1 in
    flanneld) "$2" --version 2>&1 >/dev/null </dev/null ;; # it answers there
    *) "$2" $words 2>/dev/null </dev/null ;;
  esac | grep -oE 'v?[0-9]+\.[0-9]+\.[0-9]+' | head -n 1
}
# machine_of PATH: word size and machine of a program's header; nothing for what is no such program.
machine_of() {
  [ "$(od -An -tx1 -N4 "$1" | tr -d ' ')" = 7f454c46 ] && od -An -tx1 -j4 -N1 "$1" && od -An -tx1 -j18 -N2 "$1"
}
# runs NAME VERSION PATH: complains where the program does not tell its version on this host.
runs() {
  words=$(asked "$1")
  said=$("$3" $words 2>"$3.said" </dev/null) && ended=0 || ended=$?
  if [ "$ended" -eq 0 ]; then
    rm -f "$3.said"
    return
  fi
  said=$(printf '%s\n' "$(cat "$3.said")" "$said" | grep -v '^[[:space:]]*$' | head -n 1)
  rm -f "$3.said"
  its=$(machine_of "$3" 2>/dev/null) || its=
  # A shell says many things of a program that is made for another machine, and some run it as a script.
  if [ -n "$its" ] && [ "$its" != "$(machine_of /proc/self/exe)" ]; then
    echo "found a $1 $2 that is not made for this host ($(uname -m)): $said" >&2
    echo "wanted one that is; next: look at what the mirror has for this architecture" >&2
  elif [ "$ended" -eq 126 ] || [ "$ended" -eq 127 ]; then
    echo "found a $1 $2 that this host cannot start: $said" >&2
    echo "wanted a static build, such as upstream's, on a disk that programs may be started from; next: run ldd $3 and findmnt -T $3 on the host" >&2
  else
    echo "found a $1 $2 that runs and ends with status $ended when it is asked for its version: $said" >&2
    echo "wanted its version; next: run $3 $words on the host" >&2
  fi
  return 1
}

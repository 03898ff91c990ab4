# Changes the list of members, by id or by peer URL and never by a part of a name; needs ctl.sh.
# Set before: endpoint action id name url
case $action in
  add) answer=$(ctl "$endpoint" member add "$name" --learner --peer-urls="$url") ;;
  remove) answer=$(ctl "$endpoint" member remove "$id") ;;
  update) answer=$(ctl "$endpoint" member update "$id" --peer-urls="$url") ;;
  promote) answer=$(ctl "$endpoint" member promote "$id") ;;
  list) answer=$(ctl "$endpoint" member list -w json) && say "members $answer" && exit 0 ;;
esac && say "done" || say "refused $(say "$answer" | why)"

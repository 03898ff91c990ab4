# Changes the list of members, by id or by peer URL and never by a part of a name; needs ctl.sh.
# Set before: endpoint action id name url
case $action in
  add) ctl "$endpoint" member add "$name" --learner --peer-urls="$url" ;;
  remove) ctl "$endpoint" member remove "$id" ;;
  update) ctl "$endpoint" member update "$id" --peer-urls="$url" ;;
  promote) ctl "$endpoint" member promote "$id" ;;
  list) ctl "$endpoint" member list -w json && say "members $answer" && exit 0 ;;
esac && say "done" || say "refused $(why)"

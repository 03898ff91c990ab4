# Counts the live keys at one revision, whatever is written meanwhile; needs ctl.sh.
# Set before: endpoint revision
ctl "$endpoint" get '' --prefix --keys-only --limit=1 --rev="$revision" -w json || :
case $answer in
  '{"header"'*) keys=$(lines "$answer" | sed -n 's/.*"count":\([0-9]*\).*/\1/p') && say "keys ${keys:-0}" ;;
  *) say "unknown $(why)" ;;
esac

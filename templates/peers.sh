# Tries the peer port of some members with TLS, side by side, and tells all that was said; needs ctl.sh.
# `--debug` makes every release of etcdctl tell its connection errors.
# Set before: peers seconds, and the peer pair as cert and key
for peer in $peers; do
  { ctl "$peer" --debug --command-timeout="${seconds}s" get etcd-steward || :
    say "peer $peer $(lines "$said" "$answer" | tail -c 1500 | tr '\n' ' ')"; } &
done
wait

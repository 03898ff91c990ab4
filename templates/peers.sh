# Tries the peer port of some members with TLS, side by side, and tells all that was said; needs ctl.sh.
# Set before: peers seconds, and the peer pair as cert and key
for peer in $peers; do
  { answer=$(ctl "$peer" --command-timeout="${seconds}s" endpoint health) || :
    say "peer $peer $(say "$answer" | tr '\n' ' ')"; } &
done
wait

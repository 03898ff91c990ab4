# Asks etcd itself for a downgrade, or ends one, and tells the status of some endpoints; needs ctl.sh.
# Set before: endpoint endpoints (separated by commas) line (empty: only look; none: end it)
case $line in
  '') ;;
  none) say "said $(ctl "$endpoint" downgrade cancel | tail -n 1)" ;;
  *)
    said=$(ctl "$endpoint" downgrade validate "$line" | tail -n 1)
    case $said in *success*) said=$(ctl "$endpoint" downgrade enable "$line" | tail -n 1) ;; esac
    say "said $said"
    ;;
esac
say "status $(ctl "$endpoints" endpoint status -w json | tail -n 1)"

# Tells whether etcd's authentication is on; needs ctl.sh.
# Set before: endpoint
# 3.4 has no word for that. A user that does not exist is passed over while authentication is off, and refused while it is on.
if ctl "$endpoint" --user=etcd-steward-asks:nothing get etcd-steward; then say off
else
  case $said in
    *"authentication failed"*) say on ;;
    *) say "untold $(why)" ;;
  esac
fi

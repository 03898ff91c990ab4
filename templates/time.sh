# Enables the time daemon, lets it step a wrong clock once, and sets the time zone.
# Set before: init daemon zone step config
set -e
if [ -n "$zone" ]; then
  if ! [ -f "/usr/share/zoneinfo/$zone" ]; then
    echo "found no time zone $zone on this host, wanted one of /usr/share/zoneinfo; next: install tzdata or correct etcd_timezone" >&2
    exit 1
  fi
  ln -sfn "/usr/share/zoneinfo/$zone" /etc/localtime
  if [ -f /etc/timezone ]; then echo "$zone" >/etc/timezone; fi
fi
# The daemon must not inherit the guard's lock.
case $init in
  systemd) systemctl enable --quiet "$daemon"; systemctl restart "$daemon" 9>&- ;;
  openrc) rc-update --quiet add "$daemon" default; rc-service --quiet "$daemon" restart 9>&- ;;
esac
# Where the clock belongs to somebody else (containers), there is nothing to step, and skew is judged afterwards.
if [ "$step" = yes ]; then chronyc -a makestep >/dev/null 2>&1 || echo "chrony did not step the clock"; fi

# Tells the own member's status, with all fields that its release knows; needs ctl.sh and newest.sh.
# Set before: endpoint prefix
newest "$prefix"
if ctl "$endpoint" endpoint status -w json; then say "status $answer"; else say "untold $(why)"; fi

# Tries one member's client URL from here, patiently; needs ctl.sh and across.sh.
# Set before: beside seconds
across "$beside" "$seconds"

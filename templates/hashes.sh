# Asks some endpoints for the hash of their keys at one revision; needs ctl.sh.
# Set before: endpoints (separated by commas) revision
ctl "$endpoints" endpoint hashkv --rev="$revision" -w json

# Writes a key that tells whether a write arrives everywhere; needs ctl.sh.
# Set before: endpoint name value
ctl "$endpoint" put "$name" "$value"

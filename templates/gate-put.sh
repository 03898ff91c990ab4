# Writes a key that tells whether a write arrives everywhere; needs ctl.sh.
# Set before: endpoint name value
if ctl "$endpoint" put "$name" "$value"; then say put; else say "refused $(why)"; fi

# Reads that key and takes it away again; needs ctl.sh.
# Set before: endpoint name
ctl "$endpoint" get --print-value-only "$name"
ctl "$endpoint" del "$name" >/dev/null

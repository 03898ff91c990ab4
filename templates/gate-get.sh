# Reads that key and takes it away again; needs ctl.sh.
# Set before: endpoint name
if ctl "$endpoint" get --print-value-only "$name"; then say "value $answer"; else say "refused $(why)"; fi
ctl "$endpoint" del "$name" || :

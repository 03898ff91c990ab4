# Ends the alarm NOSPACE, only where no other alarm is raised: `alarm disarm` would end them all. Needs ctl.sh.
# Set before: endpoint
ctl "$endpoint" alarm list || { say "refused $(why)"; exit 0; }
others=$(lines "$answer" | grep -v -e 'alarm:NOSPACE' -e '^$' || :)
if [ -n "$others" ]; then say "refused $others"; exit 0; fi
if ctl "$endpoint" alarm disarm && ctl "$endpoint" alarm list && [ -z "$answer" ]; then say disarmed
else say "refused $(why)"; fi

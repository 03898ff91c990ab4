# Ends the alarm NOSPACE, only where no other alarm is raised: `alarm disarm` would end them all. Needs ctl.sh.
# Set before: endpoint
answer=$(ctl "$endpoint" alarm list) || { say "refused $(say "$answer" | why)"; exit 0; }
others=$(say "$answer" | grep -v -e 'alarm:NOSPACE' -e '^$' || :)
if [ -n "$others" ]; then say "refused $others"; exit 0; fi
if answer=$(ctl "$endpoint" alarm disarm) && left=$(ctl "$endpoint" alarm list) && [ -z "$left" ]; then say disarmed
else say "refused $answer $left"; fi

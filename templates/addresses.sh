# Tells the host's addresses with what the kernel says of each: `WORD INTERFACE ADDRESS/LENGTH FLAG ...`.
# Usage: tell_addresses WORD [scope global]
tell_addresses() {
  word=$1
  shift
  # The flags stand before the backslash that begins the lifetimes; without one the last word is the interface again.
  ip -o addr show "$@" 2>/dev/null | word=$word awk '{
    flags = ""
    for (i = 5; i <= NF; i++) {
      if ($i ~ /^(secondary|temporary|deprecated|tentative|dadfailed)$/) flags = flags " " $i
      if ($i ~ /\\/) break
    }
    print ENVIRON["word"] " " $2 " " $4 flags
  }'
}

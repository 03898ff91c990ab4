# Tells the certificates in some files of a client; none of them is a secret.
# Set before: files
for file in $files; do
  [ ! -f "$file" ] || awk -v file="$file" '{ print "pem " file " " $0 }' "$file"
done
echo end

# Tells the certificates in some files of a client; needs certificates.sh.
# Set before: files
for file in $files; do certificates_in "$file" "pem $file"; done
echo end

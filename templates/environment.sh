# What root's environment holds is not meant for what is asked and started here: a company's proxy takes a member's own
# neighbours for far away, and variables of etcdctl and of Go change what they do. This stands in front of every script.
# What an operator brings to be run, and what fetches packages, gets the environment as it was: by `outside`.
[ -n "${environment+kept}" ] || environment=$(export -p)
outside() { # command...; called in a subshell, as nothing is taken away again
  unset LC_ALL
  eval "$environment"
  "$@"
}
# A login by su, or a strict sudo, may know no folder of the system's own tools.
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
for variable in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
  case $variable in
    ETCD_UNSUPPORTED_ARCH | BASHOPTS | SHELLOPTS) ;;
    *_proxy | *_PROXY | ETCD* | GO[A-Z]* | GRPC* | SSL_* | LD_* | K3S_* | KUBE* | FLANNEL* | CONTAINERD_* | CRI_* | CRICTL_* | CONTAINER_*) unset "$variable" ;;
    ENV | BASH_ENV | CDPATH | COLUMNS | LINES | LANGUAGE | POSIX* | GREP_* | TAR_OPTIONS | GZIP | XZ_* | TMPDIR | SYSTEMD_* | TZ) unset "$variable" ;;
  esac
done

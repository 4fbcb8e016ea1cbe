# shellcheck shell=sh
# What the tests of the GPU pack share; sourced by them.
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
skip() {
  printf '[skipped] %s\n' "$*"
  exit 0
}
# enter_namespace LETTERS SCRIPT [ARGUMENT...]: starts the script anew in namespaces of its own (the
# letters are unshare's options), as root of a user namespace where that is permitted; returns when
# the script runs in one. Skips the test where none is permitted. Needs Debian's packages too.
enter_namespace() {
  if [ -n "${VID2VOX_IN_NAMESPACE:-}" ]; then return; fi
  command -v dpkg-query >/dev/null || skip "this needs Debian's dpkg-query"
  export VID2VOX_IN_NAMESPACE=yes
  namespaces=$1
  shift
  for options in "-r$namespaces" "-$namespaces"; do
    if unshare "$options" mount -t tmpfs none /mnt 2>/dev/null; then
      exec unshare "$options" sh "$@"
    fi
  done
  skip "namespaces (unshare -$namespaces) are not permitted here"
}

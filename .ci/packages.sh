# shellcheck shell=bash disable=SC2034
# Installs, quietly and without questions, what of the named Debian packages is missing. Sourced by ./check and ./quickstart.

build_packages='libfuse3-dev libssl-dev libsodium-dev libpugixml-dev libsqlite3-dev libgtest-dev libgmock-dev libmicrohttpd-dev
  nlohmann-json3-dev libcli11-dev libsystemd-dev libcurl4-openssl-dev meson ninja-build pkg-config g++'
if [ "$(dpkg --print-architecture)" = amd64 ]; then build_packages="$build_packages libipsec-mb-dev"; fi
# Tools of others that tests put on a store.
tool_packages='valgrind awscli python3-boto3 s3cmd rclone'
command -v node >/dev/null || tool_packages="$tool_packages nodejs"
command -v npm >/dev/null || tool_packages="$tool_packages npm"
run_packages='fuse3 curl ca-certificates attr acl python3 python3-cryptography e2fsprogs xfsprogs btrfs-progs systemd'

install_packages() {
  missing=''
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  echo "installing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2086
  if apt-get -qq update >"$log" 2>&1 &&
    apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >>"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "could not install:$missing (needed: root and a Debian 12 package source)" >&2
    return 1
  fi
}

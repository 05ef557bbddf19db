answer_help 'usage: ./dev setup

Installs the Debian packages that building, testing and running Postern needs, and only those that are missing. Needs root or sudo
if there are any. PostgreSQL is installed without a cluster on port 5432: ./dev up makes private ones. Prometheus is not started.
exit status: 0 all is there, 1 it could not be installed, 2 usage' "$@"
[ $# -eq 0 ] || fail_usage "takes no arguments"

packages=(
  build-essential cmake ninja-build ccache mold pkg-config git python3 python3-venv ca-certificates
  libabsl-dev libgrpc++-dev libprotobuf-dev libprotoc-dev protobuf-compiler protobuf-compiler-grpc
  libjemalloc-dev libsodium-dev libssl-dev libpqxx-dev libcurl4-openssl-dev libc-ares-dev
  libspdlog-dev libfmt-dev prometheus-cpp-dev libcli11-dev libyaml-cpp-dev
  libgtest-dev libgmock-dev libbenchmark-dev postgresql graphviz openssl haproxy pgbouncer prometheus python3-yaml
)
release=$(. /etc/os-release && echo "${VERSION_ID:-0}")
if [ "${release%%.*}" -ge 13 ]; then
  packages+=(libboost-dev libboost-json-dev clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev)
else
  # Not libboost-dev: that is 1.74, and conflicts.
  packages+=(libboost-json1.81-dev clang-16 clang-tidy-16 clang-format-16 libclang-rt-16-dev)
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed //p' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  say "setup: every package is there"
  return 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { say "setup: ${missing[*]} are missing, and this user is neither root nor has sudo"; exit 1; }
  as_root=(sudo)
fi
install_packages() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove "$@" >&2
}

# install_program PACKAGE: without the service that comes with it, which Debian starts at once, and again at each boot.
install_program() {
  local policy=/usr/sbin/policy-rc.d placed=no
  if ! [ -e "$policy" ]; then
    placed=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 0755 "$policy"
  fi
  local status=0
  install_packages "$1" || status=$?
  [ "$placed" = no ] || "${as_root[@]}" rm -f "$policy"
  [ "$status" -eq 0 ] || return "$status"
  "${as_root[@]}" update-rc.d "$1" disable >&2 # of systemd too, if that is here
}

say "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update >&2
if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then
  install_packages postgresql-common
  "${as_root[@]}" sed -i 's/^#\?create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
fi
for program in prometheus haproxy pgbouncer; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || install_program "$program"
done
install_packages "${missing[@]}"

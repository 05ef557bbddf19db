answer_help 'usage: ./dev setup

Installs the Debian packages that building, testing and running Postern needs, and only those that are missing. Needs root or sudo
if there are any. PostgreSQL is installed without a cluster on port 5432: ./dev up makes private ones. Prometheus is not started.
exit status: 0 all is there, 1 it could not be installed, 2 usage' "$@"
[ $# -eq 0 ] || fail_usage "takes no arguments"

packages=(
  build-essential cmake ninja-build ccache mold pkg-config git python3 python3-venv ca-certificates
  libabsl-dev libgrpc++-dev libprotobuf-dev libprotoc-dev protobuf-compiler protobuf-compiler-grpc
  libjemalloc-dev libsodium-dev libssl-dev libpq-dev libpqxx-dev libcurl4-openssl-dev libc-ares-dev
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

# shellcheck source=deploy/dev/packages.sh
source "$COMMANDS/packages.sh"
mapfile -t missing < <(missing_packages "${packages[@]}")
if [ ${#missing[@]} -eq 0 ]; then
  say "setup: every package is there"
  return 0
fi
require_root_or_sudo "${missing[@]}"

say "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update >&2
if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then
  install_packages postgresql-common
  "${as_root[@]}" sed -i 's/^#\?create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
fi
for program in prometheus haproxy pgbouncer; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || install_without_service "$program"
done
install_packages "${missing[@]}"

# What several commands do. Everything here speaks on standard error: standard output is for results.

say() { echo "$*" >&2; }

fail_usage() {
  say "./dev $command: $1 (./dev $command --help says more)"
  exit 2
}

# answer_help TEXT "$@": prints TEXT and ends if --help is among the arguments.
answer_help() {
  local text=$1 argument
  shift
  for argument in "$@"; do
    case $argument in -h | --help)
      echo "$text"
      exit 0
      ;;
    esac
  done
}

# The newest clang tool of a name that is installed: clang-tidy-16 on Debian 12, a later one on 13.
newest_clang() {
  local version
  for version in 21 20 19 18 17 16; do
    if command -v "$1-$version" >/dev/null; then
      echo "$1-$version"
      return
    fi
  done
  say "$1 is missing: run ./dev setup"
  return 1
}

# build_preset PRESET [TARGET…]: configures if need be, and builds. Without targets: everything.
build_preset() {
  local preset=$1 options=()
  shift
  if [ "$preset" = fuzz ]; then
    options=("-DCMAKE_C_COMPILER=$(newest_clang clang)" "-DCMAKE_CXX_COMPILER=$(newest_clang clang++)")
  fi
  if ! [ -f "build/$preset/build.ninja" ]; then
    cmake --preset "$preset" "${options[@]}" >&2
  fi
  cmake --build --preset "$preset" ${1+--target "$@"} >&2
}

# The programs of a stack, up to date; nothing is built where POSTERN_BIN_DIR names ready ones.
build_stack() {
  [ -n "${POSTERN_BIN_DIR:-}" ] || build_preset release postern-gateway postern-validator postern-store posternctl
}

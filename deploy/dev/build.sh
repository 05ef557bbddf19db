answer_help 'usage: ./dev build [debug|release|asan|tsan|fuzz]

Builds everything, tests included, in build/PRESET; the programs are in build/PRESET/bin. The default is debug; asan is address
and undefined behaviour, fuzz builds the fuzzers only. All output goes to standard error.
examples:
  ./dev build release
  ./dev build tsan && ctest --test-dir build/tsan -L threads
exit status: 0 built, 1 not, 2 usage' "$@"
[ $# -le 1 ] || fail_usage "takes one preset"
case ${1:-debug} in
  debug | release | asan | tsan | fuzz) build_preset "${1:-debug}" ;;
  *) fail_usage "no preset '$1'" ;;
esac

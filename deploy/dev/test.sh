answer_help 'usage: ./dev test [--fast|--sanitizers]

What CI runs: formatting and who includes whom, the fuzzers for a few seconds each, and every test in release, last.
--fast: release only, without the slow tests. --sanitizers: the tests under asan (address and undefined behaviour) and those with
threads under tsan instead, without the slow ones.
Installs missing packages first, as ./dev setup does. clang-tidy is apart: ./dev lint.
examples:
  ./dev test --fast
  ./dev build asan && ctest --test-dir build/asan -R XMatrix --output-on-failure
exit status: 0 all passed, 1 not, 2 usage' "$@"
mode=all
case "$*" in
  "") ;;
  --fast) mode=fast ;;
  --sanitizers) mode=sanitizers ;;
  *) fail_usage "knows only --fast and --sanitizers" ;;
esac

test_began=$SECONDS
# run_stage NAME COMMAND…: a stage that fails does not keep the others from being seen.
failed_stages=()
run_stage() {
  local name=$1 began=$SECONDS
  shift
  say "==== $name"
  if ("$@"); then
    say "==== $name: passed, $((SECONDS - began)) s"
  else
    say "==== $name: FAILED, $((SECONDS - began)) s"
    failed_stages+=("$name")
  fi
}

run_ctest() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" -j2 --output-on-failure --no-tests=error "$@"
}

# test_preset PRESET [ctest option…]
test_preset() {
  local began=$SECONDS
  build_preset "$1" || return 1
  say "==== $1: built in $((SECONDS - began)) s"
  run_ctest "$@"
}

test_tsan() {
  local began=$SECONDS
  build_preset tsan threads || return 1
  say "==== tsan: built in $((SECONDS - began)) s"
  run_ctest tsan -L threads -LE slow
}

"$ROOT/dev" setup
case $mode in
  fast) run_stage release test_preset release -LE slow ;;
  sanitizers)
    run_stage asan test_preset asan -LE slow
    run_stage tsan test_tsan
    ;;
  all)
    run_stage lint "$ROOT/dev" lint --no-tidy
    run_stage fuzz test_preset fuzz
    run_stage release test_preset release
    ;;
esac
say "==== ${#failed_stages[@]} stages failed${failed_stages[*]+: ${failed_stages[*]}}, $((SECONDS - test_began)) s in all"
[ ${#failed_stages[@]} -eq 0 ]

answer_help 'usage: ./dev test [--fast|--sanitizers]

Builds and runs the tests: the fuzzers for a few seconds each, then everything in release. --fast: release only, without the
slow tests. --sanitizers: the tests under asan (address and undefined behaviour) and under tsan instead.
Installs missing packages first, as ./dev setup does.
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

test_preset() {
  build_preset "$1" && run_ctest "$@"
}

"$ROOT/dev" setup
case $mode in
  fast) run_stage release test_preset release -LE slow ;;
  sanitizers)
    run_stage asan test_preset asan -LE slow
    run_stage tsan test_preset tsan -LE slow
    ;;
  all)
    run_stage fuzz test_preset fuzz
    run_stage release test_preset release
    ;;
esac
say "==== ${#failed_stages[@]} stages failed${failed_stages[*]+: ${failed_stages[*]}}, $((SECONDS - test_began)) s in all"
[ ${#failed_stages[@]} -eq 0 ]

answer_help 'usage: ./dev test [--fast|--sanitizers]

What CI runs: formatting and who includes whom, the fuzzers for a few seconds each, the tests of the services in one process under
asan (address and undefined behaviour), those that have threads under tsan, and every test in release, last, but the one that builds
the last release: ./dev deploy-test --upgrade.
--fast: release only, without the slow tests. --sanitizers: asan and tsan only; those of posternctl and of whole processes too.
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
  if ("$@") 2>&1 | tee "$stage_logs/$name"; then
    say "==== $name: passed, $((SECONDS - began)) s"
  else
    say "==== $name: FAILED, $((SECONDS - began)) s"
    failed_stages+=("$name")
  fi
}

# What failed, once more at the end: there people look, and a log that is cut has it.
readonly TROUBLE='Failure$|^\[  FAILED  \]|WARNING: ThreadSanitizer|ERROR: [A-Za-z]+Sanitizer|runtime error:|[^a-z]error:|\*\*\*|^FAILED: '
readonly LOG_LINE='^{"time":'
tell_failures() {
  local name
  for name in "${failed_stages[@]}"; do
    say "==== $name failed:"
    { grep -v "$LOG_LINE" "$stage_logs/$name" | grep -E -A12 "$TROUBLE" || tail -n 40 "$stage_logs/$name"; } | cut -c1-300 | sed -n 1,150p >&2
    sed -n '/tests FAILED/,$p' "$stage_logs/$name" | sed -n 1,40p >&2
  done
}

# test_preset PRESET TARGET [ctest option…]
test_preset() {
  local preset=$1 target=$2 began=$SECONDS
  shift 2
  build_preset "$preset" "$target" || return 1
  say "==== $preset: built in $((SECONDS - began)) s"
  ctest --test-dir "build/$preset" -j3 --output-on-failure --no-tests=error "$@"
}

stage_logs=$(mktemp -d)
trap 'rm -rf "$stage_logs"' EXIT
"$ROOT/dev" setup
case $mode in
  fast) run_stage release test_preset release all -LE slow ;;
  sanitizers)
    run_stage asan test_preset asan all -LE slow
    run_stage tsan test_preset tsan all -L threads -LE slow
    ;;
  all)
    run_stage lint "$ROOT/dev" lint --no-tidy
    run_stage fuzz test_preset fuzz all
    run_stage asan test_preset asan in_process_tests -LE "slow|flow|client" -E "_NOT_BUILT$"
    run_stage tsan test_preset tsan threads -L threads -LE "slow|flow|client"
    run_stage release test_preset release all -LE upgrade
    ;;
esac
tell_failures
say "==== ${#failed_stages[@]} stages failed${failed_stages[*]+: ${failed_stages[*]}}, $((SECONDS - test_began)) s in all"
[ ${#failed_stages[@]} -eq 0 ]

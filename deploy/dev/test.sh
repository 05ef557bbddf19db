answer_help 'usage: ./dev test [--fast]

Builds and runs every test: lint, the fuzzers for a few seconds each, then ctest under asan, under tsan (both without the tests
labelled slow) and in release, which comes last and runs all. --fast: release only, without the slow tests, without lint.
Installs missing packages first, as ./dev setup does.
examples:
  ./dev test --fast
  ./dev build asan && ctest --test-dir build/asan -R XMatrix --output-on-failure
exit status: 0 all passed, 1 not, 2 usage' "$@"
fast=no
case "$*" in
  "") ;;
  --fast) fast=yes ;;
  *) fail_usage "knows only --fast" ;;
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
if [ "$fast" = no ]; then
  run_stage fuzz test_preset fuzz
  run_stage asan test_preset asan -LE slow
  run_stage tsan test_preset tsan -LE slow
  run_stage lint "$ROOT/dev" lint
  run_stage release test_preset release
else
  run_stage release test_preset release -LE slow
fi
say "==== ${#failed_stages[@]} stages failed${failed_stages[*]+: ${failed_stages[*]}}, $((SECONDS - test_began)) s in all"
[ ${#failed_stages[@]} -eq 0 ]

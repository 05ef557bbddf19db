# --help and mistakes are answered before anything is built.
for argument in "$@"; do
  case $argument in -h | --help) exec python3 "$COMMANDS/bench.py" --help ;; esac
done
python3 "$COMMANDS/bench.py" --only-check "$@"
if [ -z "${POSTERN_BIN_DIR:-}" ]; then
  "$ROOT/dev" setup
  case " $* " in
    *" --pure "*) build_preset release postern-benchmarks ;;
    *) build_stack ;;
  esac
fi
exec python3 "$COMMANDS/bench.py" "$@"

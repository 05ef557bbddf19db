# --help and mistakes are answered before anything is built.
for argument in "$@"; do
  case $argument in -h | --help) exec python3 "$COMMANDS/bars.py" --help ;; esac
done
python3 "$COMMANDS/bars.py" --only-check "$@"
[ -n "${POSTERN_BIN_DIR:-}" ] || "$ROOT/dev" setup
build_stack
exec python3 "$COMMANDS/bars.py" "$@"

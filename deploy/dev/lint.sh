answer_help 'usage: ./dev lint [--no-tidy]

Checks formatting (clang-format), who may include whom (services -> rpc -> matrix, no service on the code of another), and the few
checks of .clang-tidy. Files that have not changed since they were found clean are not tidied again. --no-tidy leaves tidy out.
exit status: 0 clean, 1 not, 2 usage' "$@"
tidy=yes
case "$*" in
  "") ;;
  --no-tidy) tidy=no ;;
  *) fail_usage "knows only --no-tidy" ;;
esac
lint_status=0
git ls-files -z '*.h' '*.cc' | xargs -0 "$(newest_clang clang-format)" --dry-run -Werror >&2 || lint_status=1
python3 tests/include_arrows.py >&2 || lint_status=1
if [ "$tidy" = yes ]; then
  build_preset release
  python3 "$COMMANDS/tidy.py" "$(newest_clang clang-tidy)" build/release >&2 || lint_status=1
fi
[ "$lint_status" -eq 0 ] && say "lint: clean"
[ "$lint_status" -eq 0 ] || { say "lint: see above"; exit 1; }

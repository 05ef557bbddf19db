answer_help 'usage: ./dev conformance < cases.jsonl > outputs.jsonl

Answers every case of tests/vectors/README.md that is given on standard input, a line each; an operation that is not built yet
is answered {"unsupported":true}.
examples:
  ./dev conformance < tests/vectors/event_id.jsonl | head -1
exit status: 0 every case was answered, 1 not, 2 usage' "$@"
[ $# -eq 0 ] || fail_usage "takes no arguments"
bin=${POSTERN_BIN_DIR:-}
if [ -z "$bin" ]; then
  build_preset release postern-conformance </dev/null
  bin=build/release/bin
fi
exec "$bin/postern-conformance"

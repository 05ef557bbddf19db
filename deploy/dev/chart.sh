answer_help 'usage: ./dev chart [PYTEST OPTION…]

Lints the Helm chart deploy/chart, renders all its examples and holds them against what it promises: who sees which secret, who may
speak to whom, what restarts what, which values are refused. The services check the configurations that they would get.
Helm is built, once, by the Go that is installed, or by one from PyPI; it and a Python environment are kept under build/environments.
examples:
  ./dev chart
  ./dev chart -k secret
exit status: 0 all passed, 1 not, 2 usage' "$@"
build_stack
exec python3 -B "$ROOT/tests/deploy/run.py" --environments "$ROOT/build/environments" --bin-dir "${POSTERN_BIN_DIR:-$ROOT/build/release/bin}" "$@"

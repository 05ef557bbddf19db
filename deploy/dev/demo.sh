answer_help 'usage: ./dev demo

Installs what is missing, builds, starts a stack of its own in a temporary directory, and plays the leave handshake with a remote
homeserver: rooms of versions 6, 10 and 12, over v2 and over v1 of send_leave, then three refusals. Ends the stack.
exit status: 0 everything was as it should be, 1 not, 2 usage' "$@"
[ $# -eq 0 ] || fail_usage "takes no arguments"
"$ROOT/dev" setup
build_stack
exec python3 "$COMMANDS/demo.py"

exec python3 "$COMMANDS/stack.py" down "$@"

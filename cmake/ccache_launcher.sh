#!/bin/sh
# usage: ccache_launcher.sh CCACHE COMPILER ARGUMENT… (CMake calls it)
#
# Compiles by way of ccache, and lays beside each precompiled header a .sum of it. With CCACHE_PCH_EXTSUM ccache then reads these few
# bytes at each compilation that takes the header, and not its 250 MB.
ccache=$1
shift
output=
previous=
for argument; do
  [ "$previous" = -o ] && output=$argument
  previous=$argument
done
case $output in
  *.gch | *.pch)
    rm -f "$output.sum"
    "$ccache" "$@" || exit
    sha1sum <"$output" >"$output.sum.new" && mv "$output.sum.new" "$output.sum"
    ;;
  *) exec "$ccache" "$@" ;;
esac

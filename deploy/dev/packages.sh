# Debian packages, installed where they are missing; sourced by the commands that need some.

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

# missing_packages PACKAGE…: those that are not installed, one a line.
missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
  for package in "$@"; do
    grep -qxF "$package" <<<"$installed" || echo "$package"
  done
}

# For who cannot install, before anything is begun.
require_root_or_sudo() {
  [ ${#as_root[@]} -eq 0 ] || command -v sudo >/dev/null || { say "$command: $* are missing, and this user is neither root nor has sudo"; exit 1; }
}

install_packages() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove "$@" >&2
}

# install_without_service PACKAGE [SERVICE]: without the service that comes with it, which Debian starts at once, and again at each boot.
install_without_service() {
  local policy=/usr/sbin/policy-rc.d placed=no status=0
  if ! [ -e "$policy" ]; then
    placed=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 0755 "$policy"
  fi
  install_packages "$1" || status=$?
  [ "$placed" = no ] || "${as_root[@]}" rm -f "$policy"
  [ "$status" -eq 0 ] || return "$status"
  "${as_root[@]}" update-rc.d "${2:-$1}" disable >&2 # of systemd too, if that is here
}

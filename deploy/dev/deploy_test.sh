answer_help 'usage: ./dev deploy-test [--api|--node|--upgrade] [--jobs N] [PYTEST OPTION…]

Holds the chart against Kubernetes 1.34 itself. --api: a real API server takes every object of every example, under the strictest
standard for pods, and Helm installs and upgrades there. --node: a cluster of two nodes runs Postern under a load of leaves while it is
restarted, scaled, drained, cut apart and has its database taken away; what that rests on is taken away too, and must then be missed. Without
either: both. --upgrade: on this host, without Kubernetes,
the last release (built from its commit) is replaced by the programs of this tree and comes back, tier by tier, while leaves come in.
Kubernetes is built by Go, the images by buildah, once: an hour on two processors, so this is no part of ./dev test. They are kept in
${XDG_CACHE_HOME:-~/.cache}/postern/cluster. Needs root, and control groups of version 1; everything runs in namespaces of its own.
Installs the Debian packages that it needs: etcd, containerd, runc, CNI plugins, iptables, buildah, debootstrap.
  --jobs N   compilers at once, where something must be built (default: 2)
examples:
  ./dev deploy-test --api
  ./dev deploy-test --node -k drain
  ./dev deploy-test --upgrade
exit status: 0 all passed, 1 not, 2 usage' "$@"

parts=(api node) deploy_jobs=2 pytest_options=()
while [ $# -gt 0 ]; do
  case $1 in
    --api | --node | --upgrade) parts=("${1#--}") ;;
    --jobs)
      [ $# -gt 1 ] || fail_usage "$1 wants a value"
      deploy_jobs=$2
      shift
      ;;
    *) pytest_options+=("$1") ;;
  esac
  shift
done
if [ "${parts[*]}" = upgrade ]; then
  "$ROOT/dev" setup
  build_stack
  exec ctest --test-dir build/release -L upgrade --output-on-failure --no-tests=error
fi
[ "$(id -u)" -eq 0 ] || { say "deploy-test: needs root: it makes namespaces and control groups"; exit 1; }

# shellcheck source=deploy/dev/packages.sh
source "$COMMANDS/packages.sh"
packages=(etcd-server iproute2)
case " ${parts[*]} " in
  *" node "*) packages+=(containerd runc containernetworking-plugins iptables conntrack buildah debootstrap) ;;
esac
"$ROOT/dev" setup
mapfile -t missing < <(missing_packages "${packages[@]}")
if [ ${#missing[@]} -gt 0 ]; then
  say "deploy-test: installing ${missing[*]}"
  apt-get update >&2
  for package in "${missing[@]}"; do
    case $package in
      etcd-server) install_without_service etcd-server etcd ;;
      containerd) install_without_service containerd ;;
      *) install_packages "$package" ;;
    esac
  done
fi

cluster_cache=${XDG_CACHE_HOME:-$HOME/.cache}/postern/cluster options=()
case " ${parts[*]} " in
  *" node "*)
    build_stack
    "$ROOT/tests/cluster/image_archives.sh" "$cluster_cache/images" "$deploy_jobs"
    options=(--images "$cluster_cache/images/archives" --bin-dir "${POSTERN_BIN_DIR:-$ROOT/build/release/bin}")
    ;;
esac
exec python3 -B "$ROOT/tests/cluster/run.py" --environments "$cluster_cache" --processors "$deploy_jobs" "${parts[@]/#/--part=}" "${options[@]}" \
  "${pytest_options[@]}"

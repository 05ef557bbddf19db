answer_help 'usage: ./dev images [--base IMAGE] [--tag TAG] [--jobs N] [TARGET…]

Builds the images of deploy/Dockerfile (gateway, validator, store, posternctl; all by default), starts the program of each as its own
user, has it check settings as deploy/compose.yaml gives them, and prints the sizes. Compiles everything once: ten minutes on two
processors, so it is no part of ./dev test. Uses docker, podman or buildah, the first that is there and works; POSTERN_IMAGE_ENGINE names one.
  --base IMAGE  the Debian that it is built on (default: docker.io/library/debian:bookworm-slim); 12 or 13
  --tag TAG     of the images postern-gateway, … (default: dev)
  --jobs N      compilers at once (default: 2)
Where no registry can be reached, buildah and debootstrap make a base:
  debootstrap --variant=minbase bookworm rootfs
  c=$(buildah from scratch); buildah add -q $c rootfs /; buildah commit -q --rm $c localhost/debian:bookworm
examples:
  ./dev images
  ./dev images --base localhost/debian:bookworm --tag 0.1.0 gateway
exit status: 0 built, and each starts; 1 not; 2 usage' "$@"

base=docker.io/library/debian:bookworm-slim tag=dev jobs=2 targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --base | --tag | --jobs)
      [ $# -gt 1 ] || fail_usage "$1 wants a value"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    gateway | validator | store | posternctl | debug-symbols) targets+=("$1") ;;
    *) fail_usage "no option or target '$1'" ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(gateway validator store posternctl)

engine=${POSTERN_IMAGE_ENGINE:-}
for candidate in docker podman buildah; do
  # A docker may be here whose daemon is not.
  [ -n "$engine" ] || ! "$candidate" info >/dev/null 2>&1 || engine=$candidate
done
[ -n "$engine" ] || { say "images: neither docker nor podman nor buildah works here"; exit 1; }
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot} # works inside of a container too; read by buildah alone

image_of() { [ "$1" = posternctl ] && echo "posternctl:$tag" || echo "postern-$1:$tag"; }

build_image() {
  local options=(-f deploy/Dockerfile --target "$1" -t "$(image_of "$1")" --build-arg "BASE=$base" --build-arg "JOBS=$jobs"
    --build-arg "VERSION=$(sed -n 's/^project(postern VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)"
    --build-arg "REVISION=$(git rev-parse --verify --quiet HEAD || echo unknown)"
    --build-arg "CREATED=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z)")
  case $engine in
    docker) docker build "${options[@]}" . >&2 ;;
    *)
      # These two can share the compiler's cache of this machine.
      local cache
      cache=$(ccache --get-config cache_dir 2>/dev/null || true)
      [ -z "$cache" ] || ! [ -d "$cache" ] ||
        options+=(--volume "$cache:/ccache" --build-arg "CCACHE_MAXSIZE=$(ccache --get-config max_size)")
      "$engine" build --layers "${options[@]}" . >&2
      ;;
  esac
}

# run_image IMAGE DIRECTORY PROGRAM ARGUMENT…: as the image's own user; DIRECTORY is /files there.
run_image() {
  local image=$1 directory=$2 program=$3 container status=0
  shift 3
  if [ "$engine" != buildah ]; then
    "$engine" run --rm --network none --read-only -v "$directory:/files" --entrypoint "/usr/bin/$program" "$image" "$@"
    return
  fi
  container=$(buildah from --pull-never "$image")
  buildah run --volume "$directory:/files" "$container" -- "/usr/bin/$program" "$@" || status=$?
  buildah rm "$container" >/dev/null
  return "$status"
}

check_image() {
  local target=$1 image directory
  image=$(image_of "$target")
  directory=$(mktemp -d)
  chmod 0777 "$directory"
  case $target in
    posternctl) run_image "$image" "$directory" posternctl key generate --output /files/signing.key >&2 && [ -s "$directory/signing.key" ] ;;
    gateway)
      echo "ed25519 a_test $(head -c 32 /dev/urandom | base64 | tr -d '=')" >"$directory/signing.key"
      run_image "$image" "$directory" postern-gateway --check-config --server-name here.example --listen '[::]:8008' \
        --signing-key-file /files/signing.key --plaintext --store store:7102 --validator validator:7101 --admin-listen '[::]:9093' >&2
      ;;
    validator)
      run_image "$image" "$directory" postern-validator --check-config --listen '[::]:7101' --plaintext --admin-listen '[::]:9091' >&2
      ;;
    store)
      echo postgresql://postern@postgres/postern >"$directory/database.uri"
      run_image "$image" "$directory" postern-store --check-config --server-name here.example --listen '[::]:7102' --plaintext \
        --database-uri-file /files/database.uri --admin-listen '[::]:9092' >&2
      ;;
  esac
  local status=$?
  rm -rf "$directory"
  return "$status"
}

size_of() {
  case $engine in
    buildah) buildah images --format '{{.Size}}' "$1" ;;
    *) "$engine" image inspect --format '{{.Size}}' "$1" | awk '{printf "%.1f MB\n", $1 / 1e6}' ;;
  esac
}

images_status=0
for target in "${targets[@]}"; do
  say "images: $(image_of "$target")"
  build_image "$target" || { say "images: $target could not be built"; exit 1; }
  [ "$target" = debug-symbols ] || check_image "$target" || { say "images: $target does not start"; images_status=1; }
done
for target in "${targets[@]}"; do echo "$(image_of "$target") $(size_of "$(image_of "$target")")"; done
exit "$images_status"

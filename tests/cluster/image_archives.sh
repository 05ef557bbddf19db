#!/usr/bin/env bash
# image_archives.sh DIRECTORY JOBS: the images that the test's nodes run, as archives in DIRECTORY/archives: Postern's four as ./dev images builds
# them, on a Debian that debootstrap makes, and three that a cluster needs beside them. What has not changed is not built again.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
directory=$1 jobs=$2 tag=t
archives=$directory/archives
mkdir -p "$archives"
cat >"$directory/storage.conf" <<TEXT
[storage]
driver = "overlay"
runroot = "$directory/run"
graphroot = "$directory/graph"
TEXT
export CONTAINERS_STORAGE_CONF=$directory/storage.conf BUILDAH_ISOLATION=chroot POSTERN_IMAGE_ENGINE=buildah
base=localhost/debian:bookworm

make_base() {
  local root container
  root=$directory/rootfs
  rm -rf "$root"
  debootstrap --variant=minbase bookworm "$root"
  container=$(buildah from scratch)
  buildah add -q "$container" "$root" /
  buildah commit -q --rm "$container" "$base"
  rm -rf "$root"
}

# What holds a pod's namespaces: a program that waits for nothing.
make_pause() {
  local scratch container
  scratch=$(mktemp -d)
  echo 'int pause(void); int main(void) { for (;;) pause(); }' | gcc -x c -O2 -static -o "$scratch/pause" -
  container=$(buildah from scratch)
  buildah add -q "$container" "$scratch/pause" /pause
  buildah config --entrypoint '["/pause"]' --user 65535:65535 "$container"
  buildah commit -q --rm "$container" "localhost/pause:$tag"
  rm -r "$scratch"
}

# With curl, for `helm test`.
make_curl() {
  local container
  container=$(buildah from --pull-never "$base")
  buildah run "$container" -- sh -c 'apt-get update && apt-get install -y --no-install-recommends curl'
  buildah commit -q --rm "$container" "localhost/curl:$tag"
}

# A PostgreSQL for a pod. Its user has a number that is known, and a name: initdb refuses who has none.
make_postgresql() {
  local container
  container=$(buildah from --pull-never "$base")
  buildah run "$container" -- sh -c 'groupadd --gid 10002 postgres && useradd --uid 10002 --gid 10002 postgres && apt-get update &&
    apt-get install -y --no-install-recommends postgresql && apt-get clean && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/*'
  buildah commit -q --rm "$container" "localhost/postgresql:$tag"
}

# archive NAME: exported where the image is another one than the archive's.
archive() {
  local file=$archives/$1.tar identity
  identity=$(buildah images --quiet --no-trunc "localhost/$1:$tag")
  if [ -f "$file" ] && [ "$(cat "$file.identity" 2>/dev/null)" = "$identity" ]; then return; fi
  rm -f "$file" "$file.identity"
  buildah push -q "localhost/$1:$tag" "docker-archive:$file:localhost/$1:$tag"
  echo "$identity" >"$file.identity"
}

{
  buildah images "$base" >/dev/null 2>&1 || make_base
  buildah images "localhost/pause:$tag" >/dev/null 2>&1 || make_pause
  buildah images "localhost/curl:$tag" >/dev/null 2>&1 || make_curl
  buildah images "localhost/postgresql:$tag" >/dev/null 2>&1 || make_postgresql
} >&2
./dev images --base "$base" --tag "$tag" --jobs "$jobs"
for name in pause curl postgresql postern-gateway postern-validator postern-store posternctl; do archive "$name"; done

#!/bin/sh
# Builds the images without a container engine: buildah, as root, each step in a chroot. `make images` calls it.
#
#     sh docker/build.sh [webapp] [jobs] [jobs-gpu]
#
# REGISTRY   where the base, python:$BASE_TAG, comes from; unset: it is a Debian of this machine's mirror, made once
#            by debootstrap and called localhost/python:3.11-slim-bookworm
# BASE_TAG   its tag, with a digest if there is one; unset: that of the Dockerfiles
# VERSION    the tag; unset: that of pyproject.toml
# SOURCE_DATE_EPOCH  the time of every file and image; unset: that of the commit
# STORAGE    a folder for images and containers; unset: buildah's own
# STORAGE_DRIVER  buildah's; unset: vfs, which works everywhere
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

[ "$(id -u)" = 0 ] || { say "error: buildah's chroot isolation needs root"; exit 78; }
for tool in buildah debootstrap; do
    command -v $tool >/dev/null || { say "error: $tool is not installed (Debian: apt-get install buildah debootstrap)"; exit 78; }
done

export BUILDAH_ISOLATION=chroot
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
in_storage() {
    [ -z "${STORAGE:-}" ] || set -- --root "$STORAGE/root" --runroot "$STORAGE/run" "$@"
    buildah --storage-driver "${STORAGE_DRIVER:-vfs}" "$@"
}

BASE_TAG=${BASE_TAG:-$(sed -n 's/^ARG BASE_TAG=//p' docker/webapp/Dockerfile)}
if [ -z "${REGISTRY:-}" ]; then
    REGISTRY=localhost
    base=localhost/python:$BASE_TAG
    if ! in_storage inspect --type image "$base" >/dev/null 2>&1; then
        mirror=$(apt-get indextargets --format "\$(SITE)" 'Created-By: Packages' 'Codename: bookworm' | grep -v security | head -1)
        [ -n "$mirror" ] || { say "error: this machine's apt knows no mirror of Debian bookworm: give REGISTRY"; exit 78; }
        say "making $base with debootstrap ..."
        debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$scratch/base" "$mirror" >"$scratch/log" 2>&1 \
            || { cat "$scratch/log" >&2; exit 75; }
        rm -rf "$scratch"/base/var/lib/apt/lists/* "$scratch"/base/var/cache/apt/archives/*.deb "$scratch"/base/var/log/*
        container=$(in_storage from scratch)
        in_storage add --quiet "$container" "$scratch/base" / >/dev/null
        in_storage commit --quiet --format docker --rm "$container" "$base" >/dev/null
    fi
fi

VERSION=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
revision=$(git rev-parse HEAD 2>/dev/null || true)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

# What this machine reaches its packages with: only while an image is built, and in no layer.
volumes=
for path in /etc/pip.conf /etc/ssl/certs; do
    [ -e $path ] && volumes="$volumes --volume $path:$path:ro"
done

[ $# -gt 0 ] || set -- webapp jobs jobs-gpu
for name in "$@"; do
    say "building recjobs-$name:$VERSION ..."
    from="--build-arg REGISTRY=$REGISTRY --build-arg BASE_TAG=$BASE_TAG"
    [ "$name" != jobs-gpu ] || from="--build-arg REGISTRY=localhost --build-arg JOBS_TAG=$VERSION"
    # shellcheck disable=SC2086  # a list of words
    in_storage bud --quiet --format docker --layers=false --timestamp "$SOURCE_DATE_EPOCH" $volumes \
        $from --build-arg VERSION="$VERSION" --build-arg REVISION="$revision" --build-arg SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
        --tag "localhost/recjobs-$name:$VERSION" --file "docker/$name/Dockerfile" . >/dev/null
done
in_storage images --filter reference='localhost/recjobs-*'

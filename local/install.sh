#!/bin/sh
# Makes .venv and installs the locked packages named on the command line, then recjobs itself; does nothing twice.
#
#     PYTHON=python3 sh local/install.sh requirements.txt [requirements-dev.txt] [requirements-gpu.txt ...]
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

for lock in "$@"; do
    [ -f "$lock" ] && continue
    extras=$(find . -maxdepth 1 -name 'requirements-*.txt' | sed 's/^..requirements-//; s/[.]txt$//' | sort | grep -vx -e dev -e images -e scan -e webapp | paste -sd ' ' -)
    say "error: there is no $lock: EXTRAS may be: $extras"
    exit 64
done

# What would make the environment another one: its locks, our entry points, what is compiled, and where it lies (scripts
# hold its path).
stamp_of() {
    key=$({ cat "$@" recjobs/core/model/compiled.c && sed -n '/^\[build-system\]/,/^\[tool\.ruff/p' pyproject.toml && pwd; } | cksum | tr -dc '0-9')
    echo ".venv/installed-$key"
}
[ -e "$(stamp_of "$@")" ] && .venv/bin/python -c '' 2>/dev/null && exit 0
if ! [ -w . ] || { [ -e .venv ] && ! [ -w .venv ]; }; then
    say "error: $(pwd) belongs to another user, and its .venv is not installed: run this as that user, or in a checkout of your own"
    exit 78
fi
# Scripts hold the path that they were installed at: in a checkout that was moved, none of them runs any more.
was_moved() {
    if [ -e .venv/lies-at ]; then [ "$(cat .venv/lies-at)" != "$(pwd -P)" ]
    else [ -e .venv/bin/recjobs ] && ! grep -qF "$(pwd -P)/.venv/bin/python" .venv/bin/recjobs; fi
}
if was_moved; then
    say "this checkout was at another path before: making .venv anew ..."
    rm -rf .venv
fi

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=
for candidate in "${PYTHON:-python3}" ${PYTHON:+-} python3.14 python3.13 python3.12 python3.11; do
    [ "$candidate" = - ] && break # PYTHON was given: nothing else will do
    is_new_enough "$candidate" && python=$candidate && break
done
if [ -z "$python" ]; then
    say "error: ${PYTHON:-python3} is not Python 3.11 or newer; install one (Debian: apt-get install python3 python3-venv)"
    say "       or name it: make install PYTHON=/path/to/python3"
    exit 78
fi

uv=
uv --version >/dev/null 2>&1 && uv=uv

if ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    if [ -n "$uv" ] && uv venv --quiet --python "$(command -v "$python")" .venv; then
        :
    elif ! "$python" -m venv .venv; then
        rm -rf .venv
        say "error: $python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
        exit 78
    fi
fi

if [ -z "$uv" ]; then
    [ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r local/uv.txt >/dev/null 2>&1 || true
    .venv/bin/uv --version >/dev/null 2>&1 && uv=.venv/bin/uv
fi

started=$(date +%s)
locks=
for lock in "$@"; do locks="$locks -r $lock"; done
install() { # with uv, and with pip where uv is not to be had or cannot reach the packages that pip reaches
    if [ -n "$uv" ]; then
        "$uv" pip install --quiet --python .venv/bin/python "$@" && return
        say "uv could not; trying pip, which takes about 80 s ..."
    fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}
say "installing $* into .venv ..."
# shellcheck disable=SC2086  # a list of words: -r LOCK -r LOCK
install --require-hashes $locks
if ! command -v "${CC:-cc}" >/dev/null; then
    say "error: there is no C compiler (${CC:-cc}): install one (Debian: apt-get install gcc libc6-dev)"
    exit 78
fi
rm -f recjobs/core/model/_compiled.*
install --no-deps --no-build-isolation --editable .
rm -f .venv/installed-*
pwd -P >.venv/lies-at
: >"$(stamp_of "$@")"
: >"$(stamp_of "$1")" # the first lock alone is installed, too
say "installed in $(($(date +%s) - started)) s"

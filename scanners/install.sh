#!/bin/sh
# Makes .venv-scan with the locked scanners; does nothing twice. They have a virtualenv of their own because what
# checkov pins cannot live with what Airflow pins. Beside them, in `shipped`, what the jobs image installs and .venv does not
# have: only its licences are read.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv-scan/installed-$({ cat requirements-scan.txt requirements-kubernetes.txt scanners/package-lock.json && pwd; } | cksum | tr -dc '0-9')
[ -e "$stamp" ] && exit 0

started=$(date +%s)
printf 'installing requirements-scan.txt into .venv-scan ...\n' >&2
rm -rf .venv-scan
.venv/bin/python -m venv .venv-scan
uv=
for candidate in uv .venv/bin/uv; do
    [ -z "$uv" ] && "$candidate" --version >/dev/null 2>&1 && uv=$candidate
done
install() { # the packages of a lock, with options of both programs
    if [ -z "$uv" ] || ! "$uv" pip install --quiet --python .venv-scan/bin/python --require-hashes -r "$@"; then
        .venv-scan/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$@"
    fi
}
install requirements-scan.txt
install requirements-kubernetes.txt --no-deps --target .venv-scan/shipped
cp scanners/package.json scanners/package-lock.json .venv-scan/
PATH="$PWD/.venv-scan/bin:$PATH" npm ci --prefix .venv-scan --silent --no-audit --no-fund
: >"$stamp"
printf 'installed in %s s\n' "$(($(date +%s) - started))" >&2

#!/bin/sh
# In an image's build stage: makes /app known to /opt/venv, compiles both, and writes what is installed to $1 as CycloneDX.
#
# What it leaves is the same at every build: bytecode names its source by hash and not by time, /app is readable to
# everybody whatever the umask of the checkout was, and nothing has a serial number or a date.
set -eu
sbom=$1

# Where the code lies stays /app, since it finds `sql` beside itself; the entry points and the version are those of
# pyproject.toml. What is compiled has no path or time in it.
cd /app
sed -i '/^readme = /d' pyproject.toml
[ -d recjobs ] || sed -i '/^\[\[tool.setuptools.ext-modules\]\]/,/^$/d' pyproject.toml
/opt/tools/bin/python -c 'import setuptools.build_meta as build; build.build_editable("/build")' >/build/log 2>&1 \
    || { cat /build/log >&2; exit 70; }
/opt/tools/bin/pip --python /opt/venv/bin/python install --quiet --no-compile --no-deps --no-index /build/recjobs-*.whl
rm -rf pyproject.toml build ./*.egg-info /opt/venv/lib/python3*/site-packages/recjobs-*.dist-info/direct_url.json
[ -d recjobs ] || rm -f /opt/venv/bin/recjobs

find /app /opt/venv -name __pycache__ -prune -exec rm -rf {} +
/opt/venv/bin/python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/venv/lib /app
chmod -R u=rwX,go=rX /app /opt/venv

mkdir -p "$(dirname "$sbom")"
/opt/tools/bin/cyclonedx-py environment --output-reproducible --output-format JSON --output-file "$sbom" /opt/venv/bin/python
chmod 0644 "$sbom"

#!/bin/sh
# What `make compose-up` and `make compose-down` do: `sh docker/compose.sh up [dev|test|prod]`, `sh docker/compose.sh down`.
#
# Up draws secrets, builds the images that are not there (with RECJOBS_TAG set it pulls that tag instead), starts
# everything in the order of its health checks, migrates, makes the bucket, and in `dev` and `test` runs the first night
# of the sample. What runs already is left alone. Down keeps the volumes.
set -eu
cd "$(dirname "$0")"
verb=${1:-}
profile=${2:-dev}

compose() { docker compose --profile "$profile" "$@"; }

# One of the settings of this platform, from the environment, else from .env, else $2.
setting() {
    value=$(printenv "$1" || sed -n "s/^$1=//p" .env 2>/dev/null | tail -n 1)
    printf '%s' "${value:-$2}"
}

# Without a Compose that can read the file, and an engine that answers, nothing is begun.
check_docker() {
    instead="without containers: \`make demo\` to try it, docs/deploying.md for production"
    command -v docker >/dev/null 2>&1 || {
        echo "docker is not installed: install Docker with Compose 2.24 or newer; or $instead" >&2
        exit 69
    }
    version=$(docker compose version --short 2>/dev/null) || {
        echo "docker has no \`compose\`: install Docker Compose 2.24 or newer; or $instead" >&2
        exit 69
    }
    version=${version#v}
    if [ -n "$version" ] && [ "$(printf '%s\n' 2.24 "$version" | sort -V | head -n 1)" != 2.24 ]; then
        echo "docker has Compose $version: install 2.24 or newer" >&2
        exit 69
    fi
    said=$(docker info 2>&1 >/dev/null) || {
        echo "no Docker engine answers (\`docker info\`: $said): start it, or ask for the right to use it; or $instead" >&2
        exit 69
    }
}

case $profile in
dev | test | prod) ;;
*) echo "$profile is no profile: dev, test or prod" >&2 && exit 64 ;;
esac

case $verb in
up)
    check_docker
    if [ "$profile" = prod ]; then
        tls=$(setting RECJOBS_TLS ./tls)
        for file in fullchain.pem privkey.pem; do
            [ -r "$tls/$file" ] || {
                echo "$tls/$file is not there: TLS needs a certificate and its key (docs/deploying.md)" >&2
                exit 78
            }
        done
        case $(setting WEBAPP_URL '') in
        https://*) ;;
        *) echo "WEBAPP_URL is not set to where people reach the pages, https://..., in docker/.env" >&2 && exit 78 ;;
        esac
    fi
    if [ "$profile" = test ]; then
        export STATSD_HOST='' AIRFLOW_STATSD=False
    fi
    if [ "$profile" = dev ]; then
        OTEL_TRACES_EXPORTER=$(setting OTEL_TRACES_EXPORTER otlp) # to Jaeger, which only this profile has
        export OTEL_TRACES_EXPORTER
    fi
    sh draw-secrets.sh secrets
    mkdir -p "$(setting RECJOBS_DATA ../data)"
    if [ -n "$(setting RECJOBS_TAG '')" ]; then
        compose pull --quiet
    else
        # What /info and the images' labels call the commit.
        RECJOBS_COMMIT=${RECJOBS_COMMIT:-$(git rev-parse HEAD 2>/dev/null || true)} compose build --quiet
    fi
    # Passwords and roles that are new in this release: Postgres' image makes them for a new volume only.
    compose up --detach --wait postgres
    compose exec --no-TTY postgres sh /docker-entrypoint-initdb.d/logins.sh
    # The new release's schema serves the web apps of the one before, which are replaced one after the other.
    compose run --rm --no-deps migrate
    for n in 1 2 3; do
        compose up --detach --wait --no-deps "webapp-$n"
    done
    compose up --detach --wait
    [ "$profile" = prod ] || compose --profile first-night run --rm --no-deps first-night
    web=$(setting WEBAPP_URL "http://127.0.0.1:$(setting WEBAPP_PORT 8080)")
    cat <<EOT

  lists     $web/v1
  pages     $web
  Airflow   http://127.0.0.1:$(setting AIRFLOW_PORT 8081)
  MLflow    http://127.0.0.1:$(setting MLFLOW_PORT 5000)
  Postgres  127.0.0.1:$(setting POSTGRES_PORT 5432)
  store     http://127.0.0.1:$(setting STORE_PORT 9000)
EOT
    if [ "$profile" != test ]; then
        cat <<EOT
  Grafana   http://127.0.0.1:$(setting GRAFANA_PORT 3000)
  metrics   http://127.0.0.1:$(setting PROMETHEUS_PORT 9090)
  alerts    http://127.0.0.1:$(setting ALERTMANAGER_PORT 9093)
EOT
    fi
    if [ "$profile" = dev ]; then
        echo "  traces    http://127.0.0.1:$(setting JAEGER_PORT 16686)"
    fi
    echo
    echo "  sign in   with what is in docker/secrets/sign-in"
    ;;
down)
    check_docker
    docker compose --profile '*' down
    ;;
*)
    echo "sh docker/compose.sh up [dev|test|prod], or down" >&2
    exit 64
    ;;
esac

#!/bin/sh
# Draw the platform's passwords and keys, and write for each program an environment file with those that it needs.
#
#     sh docker/draw-secrets.sh FOLDER [HOST_OF_POSTGRES]
#
# A secret that was drawn before keeps its value: FOLDER/drawn has them all. Everything is of mode 0600.
set -eu
umask 077
folder=${1:?the folder to write to}
host=${2:-postgres}
mkdir -p "$folder"
touch "$folder/drawn"

random() { od -A n -v -t x1 -N "$1" /dev/urandom | tr -d ' \n'; }

draw() { # NAME LENGTH_IN_BYTES: set $NAME to the value drawn before, else draw it
    value=$(sed -n "s/^$1=//p" "$folder/drawn")
    if [ -z "$value" ]; then
        value=$(random "$2")
        printf '%s=%s\n' "$1" "$value" >>"$folder/drawn"
    fi
    eval "$1=\$value"
}

write() { # FILE: what comes in, at once
    cat >"$folder/.$1"
    mv -f "$folder/.$1" "$folder/$1"
}

for name in POSTGRES MIGRATOR LOADER PUBLISHER READER EDITOR WEB AIRFLOW MLFLOW EXPORTER \
    AIRFLOW_ADMIN MLFLOW_ADMIN GRAFANA_ADMIN STORE_KEY STORE_SECRET; do
    draw $name 24
done
for name in API_SECRET JWT_SECRET WEBAPP_SECRET MLFLOW_SECRET FERNET OPERATOR API_KEY; do
    draw $name 32
done
# Fernet takes 32 bytes in URL-safe base64; these are 32 of the drawn digits.
fernet=$(printf "%.32s" "${FERNET:?}" | base64 | tr '+/' '-_')
hash() { printf '%s' "$1" | sha256sum | cut -d ' ' -f 1; }
database() { printf 'postgresql://%s:%s@%s:5432/%s' "$1" "$2" "$host" "$3"; }
driver() { printf 'postgresql+psycopg2://%s:%s@%s:5432/%s' "$1" "$2" "$host" "$3"; }

write postgres.env <<EOT
POSTGRES_PASSWORD=$POSTGRES
RECJOBS_MIGRATOR_PASSWORD=$MIGRATOR
RECJOBS_LOADER_PASSWORD=$LOADER
RECJOBS_PUBLISHER_PASSWORD=$PUBLISHER
RECJOBS_READER_PASSWORD=$READER
RECJOBS_EDITOR_PASSWORD=$EDITOR
RECJOBS_WEB_PASSWORD=$WEB
AIRFLOW_PASSWORD=$AIRFLOW
MLFLOW_PASSWORD=$MLFLOW
EXPORTER_PASSWORD=$EXPORTER
EOT

write migrate.env <<EOT
RECJOBS_DATABASE_URL=$(database postgres "$POSTGRES" recjobs)
RECJOBS_OWNER_URL=$(database recjobs_migrator "$MIGRATOR" recjobs)
EOT

write jobs.env <<EOT
RECJOBS_OWNER_URL=$(database recjobs_migrator "$MIGRATOR" recjobs)
RECJOBS_LOADER_URL=$(database recjobs_loader "$LOADER" recjobs)
RECJOBS_PUBLISHER_URL=$(database recjobs_publisher "$PUBLISHER" recjobs)
RECJOBS_READER_URL=$(database recjobs_reader "$READER" recjobs)
RECJOBS_EDITOR_URL=$(database recjobs_editor "$EDITOR" recjobs)
MLFLOW_TRACKING_URI=$(driver mlflow "$MLFLOW" mlflow)
RECJOBS_AIRFLOW_DATABASE_URL=$(driver airflow "$AIRFLOW" airflow)
EOT

write s3.env <<EOT
AWS_ACCESS_KEY_ID=$STORE_KEY
AWS_SECRET_ACCESS_KEY=$STORE_SECRET
EOT

write airflow.env <<EOT
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=$(driver airflow "$AIRFLOW" airflow)
AIRFLOW__CORE__FERNET_KEY=$fernet
AIRFLOW__API__SECRET_KEY=$API_SECRET
AIRFLOW__API_AUTH__JWT_SECRET=$JWT_SECRET
EOT

write airflow-admin.env <<EOT
AIRFLOW_ADMIN_PASSWORD=$AIRFLOW_ADMIN
EOT

# Entries of keys and of operators, one a line: add those of other programs and people, remove the first.
[ -e "$folder/api-keys" ] || echo "first:$(hash "recjobs_key_$API_KEY")" | write api-keys
[ -e "$folder/operators" ] || echo "admin:$(hash "recjobs_operator_$OPERATOR")" | write operators
entries() { sed 's/#.*//' "$folder/$1" | tr -s '[:space:]' ' '; }

write webapp.env <<EOT
RECJOBS_WEB_URL=$(database recjobs_web "$WEB" recjobs)
RECJOBS_EDITOR_URL=$(database recjobs_editor "$EDITOR" recjobs)
RECJOBS_API_KEYS=$(entries api-keys)
WEBAPP_OPERATORS=$(entries operators)
WEBAPP_SECRET_KEY=$WEBAPP_SECRET
EOT

write mlflow.env <<EOT
MLFLOW_BACKEND_STORE_URI=$(driver mlflow "$MLFLOW" mlflow)
PGHOST=$host
PGPORT=5432
PGUSER=mlflow
PGPASSWORD=$MLFLOW
PGDATABASE=mlflow
MLFLOW_AUTH_ADMIN_USERNAME=admin
MLFLOW_AUTH_ADMIN_PASSWORD=$MLFLOW_ADMIN
MLFLOW_FLASK_SERVER_SECRET_KEY=$MLFLOW_SECRET
EOT

write store.env <<EOT
ROOT_ACCESS_KEY=$STORE_KEY
ROOT_SECRET_KEY=$STORE_SECRET
EOT

write grafana.env <<EOT
GF_SECURITY_ADMIN_USER=admin
GF_SECURITY_ADMIN_PASSWORD=$GRAFANA_ADMIN
EOT

write postgres-exporter.env <<EOT
DATA_SOURCE_URI=$host:5432/postgres?sslmode=disable
DATA_SOURCE_USER=postgres_exporter
DATA_SOURCE_PASS=$EXPORTER
EOT

# What people and programs sign in with, in one place.
write sign-in <<EOT
web app, operator: recjobs_operator_$OPERATOR
web app, API key:  recjobs_key_$API_KEY
Airflow, admin:    $AIRFLOW_ADMIN
MLflow, admin:     $MLFLOW_ADMIN
Grafana, admin:    $GRAFANA_ADMIN
EOT

#!/bin/sh
# Make the platform's databases and the logins of its roles, with the passwords of the environment, on the server that
# psql reaches as a superuser. Again, it makes what is missing and sets the passwords anew. The roles' rights come from
# `recjobs migrate`.
#
# Postgres' image runs it for a new volume, `make compose-up` each time. On a server of the distribution:
#     (set -a; . /etc/recjobs/postgres.env; setpriv --reuid postgres --regid postgres --init-groups sh docker/logins.sh)
set -eu

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres >/dev/null <<'SQL'
-- Statements with passwords stay out of the server's log, also where one fails.
set log_statement = none;
set log_min_duration_statement = -1;
set log_min_error_statement = panic;
set client_min_messages = warning;
set password_encryption = 'scram-sha-256';

\getenv superuser POSTGRES_PASSWORD
\getenv migrator RECJOBS_MIGRATOR_PASSWORD
\getenv loader RECJOBS_LOADER_PASSWORD
\getenv publisher RECJOBS_PUBLISHER_PASSWORD
\getenv reader RECJOBS_READER_PASSWORD
\getenv editor RECJOBS_EDITOR_PASSWORD
\getenv web RECJOBS_WEB_PASSWORD
\getenv airflow AIRFLOW_PASSWORD
\getenv mlflow MLFLOW_PASSWORD
\getenv exporter EXPORTER_PASSWORD

select format('create role %I', name)
from unnest(array[
    'recjobs_migrator', 'recjobs_loader', 'recjobs_publisher', 'recjobs_reader', 'recjobs_editor', 'recjobs_web',
    'airflow', 'mlflow', 'postgres_exporter'
]) as name
where name not in (select rolname from pg_roles) \gexec

alter role current_user password :'superuser';
alter role recjobs_migrator login password :'migrator';
alter role recjobs_loader login password :'loader';
alter role recjobs_publisher login password :'publisher';
alter role recjobs_reader login password :'reader';
alter role recjobs_editor login password :'editor';
alter role recjobs_web login password :'web';
alter role airflow login password :'airflow';
alter role mlflow login password :'mlflow';
alter role postgres_exporter login password :'exporter';
grant pg_monitor to postgres_exporter;

select format('create database %I owner %I', name, owner)
from (values ('recjobs', current_user::text), ('airflow', 'airflow'), ('mlflow', 'mlflow')) as wanted (name, owner)
where name not in (select datname from pg_database) \gexec

-- Else every role may fill the disk with temporary tables there.
revoke all on database airflow, mlflow, postgres, template1 from public;
grant connect on database postgres to postgres_exporter;
SQL

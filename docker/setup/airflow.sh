#!/bin/sh
# Bring Airflow's database up to date, and make its first user. Again, it changes nothing.
set -eu
airflow db migrate
# Without a terminal it reads the password, twice, from its input: as an argument every user of the machine could read it.
printf '%s\n%s\n' "$AIRFLOW_ADMIN_PASSWORD" "$AIRFLOW_ADMIN_PASSWORD" |
    airflow users create --username admin --role Admin --firstname Airflow --lastname Admin --email admin@localhost

"""Runs the whole product on one machine: Postgres, Airflow's processes and the web app, without containers.

`python -m local up | down | demo | mlflow | airflow` is what the Makefile calls. Everything it makes lies in `.local/`:
deleting that folder (after `down`) is a complete uninstall.
"""

"""Runs the whole product on one machine: Postgres, Airflow's processes and the web app, without containers.

The Makefile calls `python -m local up | down | demo | mlflow | airflow`. All files are in `.local/`: to uninstall, run
`down` and delete that folder.
"""

"""Exit with 0 if a part of Airflow is well, by its own account: `python health.py scheduler`."""

import json
import os
import sys
import urllib.request

url = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].replace("/execution/", "/api/v2/monitor/health")
with urllib.request.urlopen(url, timeout=8) as answer:  # noqa: S310 - Airflow, by a setting
    sys.exit((json.load(answer)[sys.argv[1]] or {}).get("status") != "healthy")

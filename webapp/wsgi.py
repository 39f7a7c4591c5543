"""What an application server loads: `granian --interface wsgi webapp.wsgi:app`, or `python -m webapp`."""

import logging

from webapp import create_app
from webapp.postgres.connection_pool import ConnectionPool

logging.basicConfig(level=logging.INFO, format="%(message)s")

app = create_app()

pool: ConnectionPool = app.extensions["connection_pool"]
pool.warm()

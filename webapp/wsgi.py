"""What an application server loads: `granian --interface wsgi webapp.wsgi:app`, or `python -m webapp`."""

import logging

from webapp import create_app
from webapp.postgres.connection_pool import Database

logging.basicConfig(level=logging.INFO, format="%(message)s")

app = create_app()

database: Database = app.extensions["database"]
database.warm()

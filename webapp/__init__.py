"""The web app: finished lists out of Postgres, as JSON for programs and as a page for people.

It computes nothing. A request is one primary-key lookup through the views of a catalog's schema, which are all it
shares with the rest of the product.
"""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.access import callers, operators, sign_in_cookies, throttle
from webapp.api import cors, errors, headers, openapi, request_bodies, request_log
from webapp.lists import basket, fast_path, popular, recommendations, similar, trace
from webapp.pages import changes, customers, formatting, reports, rules, runs
from webapp.postgres import health
from webapp.postgres.connection_pool import Database
from webapp.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application; raises `SettingsError` when a setting is missing or wrong."""
    settings = settings or Settings.load()
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    app.extensions["database"] = Database(settings)
    sign_in_cookies.install(app, settings)
    if settings.request_log:
        request_log.install(app)
    headers.install(app)
    fast_path.install(app, settings)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=1)  # type: ignore[method-assign]
    errors.install(app)
    request_bodies.install(app, settings)
    formatting.install(app)
    cors.install(app, settings)
    callers.install(app, settings)
    throttle.install(app, settings)
    operators.install(app)
    pages = (customers, changes, runs, rules, reports, operators)
    for part in (recommendations, similar, basket, popular, health, openapi, trace, *pages):
        app.register_blueprint(part.blueprint)
    return app

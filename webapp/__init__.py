"""The web app: finished lists out of Postgres, as JSON for programs and as a page for people.

It computes nothing. A request is one primary-key lookup through the views of a catalog's schema, which are all it
shares with the rest of the product.
"""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import (
    access,
    basket,
    bodies,
    changes,
    cors,
    direct,
    errors,
    headers,
    health,
    openapi,
    operators,
    page,
    popular,
    recommendations,
    reports,
    request_log,
    rules,
    runs,
    signing_in,
    similar,
    throttle,
    trace,
    wording,
)
from webapp.db import Database
from webapp.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application; raises `SettingsError` when a setting is missing or wrong."""
    settings = settings or Settings.load()
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    app.extensions["database"] = Database(settings)
    signing_in.install(app, settings)
    if settings.request_log:
        request_log.install(app)
    headers.install(app)
    direct.install(app, settings)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=1)  # type: ignore[method-assign]
    errors.install(app)
    bodies.install(app, settings)
    wording.install(app)
    cors.install(app, settings)
    access.install(app, settings)
    throttle.install(app, settings)
    operators.install(app)
    pages = (page, changes, runs, rules, reports, operators)
    for part in (recommendations, similar, basket, popular, health, openapi, trace, *pages):
        app.register_blueprint(part.blueprint)
    return app

"""The web app: finished lists out of Postgres, as JSON for programs and as pages for people.

It computes no list. A request reads a finished one by its primary key, through the views of a catalog's schema, and
applies the shop's rules to it. These views are all that the web app shares with the rest of the product.
"""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.access import admission, operators
from webapp.api import cors, errors, headers, openapi, request_bodies, request_log, tracing
from webapp.api.release import commit_of
from webapp.lists import catalogs, fast_path, recommendations, shared_lists, trace
from webapp.lists.catalog_cache import CatalogCache
from webapp.lists.response_cache import ResponseCache
from webapp.metrics import counters, endpoint
from webapp.pages import changes, customers, formatting, reports, rules, runs, sign_in
from webapp.postgres import audit, health
from webapp.postgres.connection_pool import ConnectionPool
from webapp.postgres.freshness import live_lists
from webapp.postgres.traced_session import TracedSession
from webapp.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application; raises `SettingsError` if a setting is missing or wrong."""
    settings = settings or Settings.load()
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings
    app.extensions["commit"] = settings.commit or commit_of()
    responses = ResponseCache(settings.keep_mb * 1_000_000)
    pool = app.extensions["connection_pool"] = ConnectionPool(settings, lambda: CatalogCache(responses))
    admission.install(app, settings, pool.has_ended)
    if settings.oidc_issuer:
        from webapp.access import identity_provider  # 18 MB of libraries that others do without

        identity_provider.install(app, settings)
    audit.install(app, settings)
    pool.check_catalog = admission.check_catalog
    counters.install(app, settings.metrics)
    if settings.request_log:
        request_log.install(app, settings.log == "json")
    headers.install(app)
    fast_path.install(app, settings)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=1)  # type: ignore[method-assign]
    if settings.traces == "otlp":
        pool.session_type = TracedSession
        tracing.install(app, settings, recommendations.ROUTE)
    errors.install(app)
    request_bodies.install(app, settings)
    formatting.install(app)
    cors.install(app, settings)
    operators.install(app)
    endpoint.install(app, settings, lambda: live_lists(pool, settings.page_timeout_ms))
    for blueprint in (shared_lists.similar, shared_lists.together, shared_lists.popular, shared_lists.basket):
        app.register_blueprint(blueprint)
    for module in (
        recommendations,
        catalogs,
        health,
        openapi,
        trace,
        customers,
        changes,
        runs,
        rules,
        reports,
        sign_in,
    ):
        app.register_blueprint(module.blueprint)
    return app

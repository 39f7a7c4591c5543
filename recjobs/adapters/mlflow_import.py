"""Importing MLflow, which takes seconds."""

import gc

_DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")


def load(tracking_uri: str) -> None:
    """Import MLflow, and its stores where it speaks to a database itself.

    Python looks for no unused cycles meanwhile: an import leaves hardly any, and to look takes a third of its time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        import mlflow

        if tracking_uri.startswith(_DATABASES):
            import mlflow.store.model_registry.sqlalchemy_store
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    finally:
        if collects:
            gc.enable()

"""Messages about nights: one of one screen after each, by the Airflow connection `recjobs_messages`.

Without that connection nothing is sent. Its type decides how: `http` (host: the whole URL of an incoming webhook, such
as Slack's, which gets JSON with `text`, `title` and `link`; a password is sent as bearer token), or `smtp` (its extra
has `to`). A message that cannot be sent fails no task.
"""

import json
import logging
import urllib.request
from typing import Any

from airflow.sdk import BaseNotifier

log = logging.getLogger(__name__)

CONNECTION = "recjobs_messages"
TIMEOUT_SECONDS = 10


class NightMessage(BaseNotifier):
    """Tells of a night at a task that ends it: state `success` (of the last one), `failed` or `skipped`."""

    def __init__(self, state: str) -> None:
        super().__init__()
        self.state = state

    def notify(self, context: Any) -> None:
        """Send the message of the task's night."""
        if (connection := _connection()) is None:
            return
        try:
            if message := self._message(context):
                _send(connection, message)
        except Exception as error:
            log.warning("no message about the night was sent: %s: %s", type(error).__name__, error)

    def _message(self, context: Any) -> dict[str, str] | None:
        from recjobs.errors import InputLate
        from recjobs.night.catalogs import known_catalog
        from recjobs.operations import night_message

        task = context["ti"].task
        catalog_name, batch_id = task.op_kwargs["catalog_name"], task.op_kwargs.get("batch_id")
        if self.state == "success":
            return night_message.of_finished(known_catalog(catalog_name), batch_id)
        error = context.get("exception")  # none where an earlier task let this one be skipped
        if self.state == "skipped" and not isinstance(getattr(error, "__cause__", None), InputLate):
            return None  # nothing was new, or the batch is kept, of which the report tells
        return night_message.of_stopped(catalog_name, batch_id, task.task_id, self.state, str(error or ""))


def _connection() -> Any:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get(CONNECTION)
    except AirflowNotFoundException:
        return None


def _send(connection: Any, message: dict[str, str]) -> None:
    if connection.conn_type == "smtp":
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        with SmtpHook(smtp_conn_id=CONNECTION) as mail:
            text = "<pre>" + message["text"].replace("&", "&amp;").replace("<", "&lt;") + "</pre>"
            mail.send_email_smtp(to=connection.extra_dejson["to"], subject=message["title"], html_content=text)
        return
    headers = {"Content-Type": "application/json"}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    request = urllib.request.Request(connection.host, json.dumps(message).encode(), headers)  # noqa: S310 - an operator's
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - connection, whose scheme they chose
        pass

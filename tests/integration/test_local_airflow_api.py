"""What a demo asks of Airflow on a busy machine, where a request may be answered late or not at all."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.airflow_api import Airflow
from local.errors import NotHealthy

RESULT = "/api/v2/dags/d/dagRuns/r/taskInstances/gate/xcomEntries/return_value?deserialize=true"


class Busy(BaseHTTPRequestHandler):
    """Is overloaded when somebody first signs in; hangs up on the first request for a result, is overloaded at the
    second, and answers the third."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        times = self.asked.count(self.path)
        if self.path == RESULT and times == 1:
            self.close_connection = True
        elif self.path == RESULT and times == 2:
            self._answer(503, {})
        elif self.path == RESULT:
            self._answer(200, {"value": {"users": 7}})
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        self.asked.append(self.path)
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.asked.count(self.path) == 1:
            self._answer(503, {})
        elif sent == {"username": "admin", "password": "drawn"}:
            self._answer(201, {"access_token": "t"})
        else:
            self._answer(401, {})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    handler = type("Handler", (Busy,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Airflow(f"http://127.0.0.1:{server.server_port}", "admin", "drawn")
        server.shutdown()


def test_a_request_that_got_no_answer_is_repeated(airflow: Airflow) -> None:
    assert airflow.result("d", "r", "gate") == {"users": 7}


def test_a_task_without_a_result_has_none_and_is_asked_once(airflow: Airflow) -> None:
    assert airflow.result("d", "r", "train") is None


def test_a_page_that_is_missing_is_said_with_the_way_out(airflow: Airflow) -> None:
    with pytest.raises(NotHealthy, match="run `make demo`"):
        airflow.state("d", "r")

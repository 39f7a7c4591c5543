"""A gateway as Kubernetes' are: it knows each pod's address, gives tracks their weights, and hides no failure.

nginx with a configuration of its own: it asks no second replica and takes none out by itself (docker/nginx.conf does
both), so that what clients see depends on the manifests alone.
"""

import re
import subprocess
import threading
import time
from pathlib import Path

import psutil

from tests.replicas import START_SECONDS, nginx
from tests.webapp_world import free_port

CONFIGURATION = """
worker_processes 2;
pid {folder}/pid;
daemon off;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    log_format answers '$status $upstream_addr';
    access_log {folder}/answers answers;
    split_clients $request_id $track {{ {weights} }}
    {upstreams}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_next_upstream off;
    server {{
        listen 127.0.0.1:{port};
        # A reload hangs up on idle connections: clients open one for each request.
        keepalive_timeout 0;
        location / {{ proxy_pass http://$track; }}
    }}
}}
"""


class Gateway:
    """nginx before the pods of the tracks `stable` and `canary`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port, self._folder = free_port(), folder
        self._pods: dict[str, list[int]] = {"stable": [], "canary": []}
        self._canary_percent = 0
        self._changing = threading.Lock()
        self._write()
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen([nginx(), "-p", folder, "-c", folder / "conf"], stdout=log, stderr=log)
        self._wait_for_workers(set())

    def add(self, port: int, track: str = "stable") -> None:
        """Send requests to a pod, too."""
        with self._changing:
            self._pods[track].append(port)
            self._reload()

    def remove(self, port: int, track: str = "stable") -> None:
        """Send it nothing more; returns once nginx has no worker that would."""
        with self._changing:
            self._pods[track].remove(port)
            self._reload()

    def weigh(self, canary_percent: int) -> None:
        """Give the canary so many percent of the requests."""
        with self._changing:
            self._canary_percent = canary_percent
            self._reload()

    def answers(self) -> list[tuple[int, int]]:
        """Status and port of the pod of every request."""
        text = (self._folder / "answers").read_text()
        return [(int(status), int(port)) for status, port in re.findall(r"^(\d+) 127\.0\.0\.1:(\d+)$", text, re.M)]

    def stop(self) -> None:
        """Stop it and its children."""
        self._process.terminate()
        self._process.wait(30)

    def _write(self) -> None:
        upstreams = []
        for track, ports in self._pods.items():
            servers = [f"server 127.0.0.1:{port} max_fails=0;" for port in ports] or ["server 127.0.0.1:1 down;"]
            upstreams.append(f"upstream {track} {{ {' '.join(servers)} keepalive 32; keepalive_timeout 20s; }}")
        weights = f"{self._canary_percent}% canary; " if self._canary_percent else ""
        text = CONFIGURATION.format(
            folder=self._folder, port=self.port, weights=f"{weights}* stable;", upstreams="\n    ".join(upstreams)
        )
        (self._folder / "conf").write_text(text)

    def _reload(self) -> None:
        before = set(psutil.Process(self._process.pid).children())
        self._write()
        self._process.send_signal(1)  # SIGHUP: new workers; the old ones answer what they have
        self._wait_for_workers(before)

    def _wait_for_workers(self, before: set[psutil.Process]) -> None:
        give_up = time.monotonic() + START_SECONDS
        while True:
            workers = set(psutil.Process(self._process.pid).children())
            if workers - before and not workers & before:
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < give_up, "nginx does not take its new configuration"
            time.sleep(0.01)

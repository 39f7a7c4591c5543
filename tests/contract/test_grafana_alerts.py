"""Each alert fires when it should and is silent when it should be, by promtool and series made by hand; the files are
what Prometheus and Alertmanager read; each alert has an entry in the runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import ROOT
from tests.debian_tools import needed
from tests.prometheus_names import GRAFANA

PUBLISHED = 'recjobs_live_published_timestamp_seconds{catalog="shop", job="webapp"}'
STEPS = 'recjobs_steps_total{catalog="shop", step="%s", outcome="%s"}'
REQUESTS = 'http_requests_total{job="webapp", route="recommendations", status="%s"}'
BUCKET = 'http_request_duration_seconds_bucket{job="webapp", route="recommendations", le="0.1"}'
COUNT = 'http_request_duration_seconds_count{job="webapp", route="recommendations"}'
FREE = 'node_filesystem_avail_bytes{mountpoint="/", fstype="ext4"}'
SIZE = 'node_filesystem_size_bytes{mountpoint="/", fstype="ext4"}'
RUNS = 'airflow_dagrun_duration_seconds_count{dag_id="nightly_shop", state="%s"}'
BACKUP = "recjobs_backup_finished_timestamp_seconds"
MAX_AGE = 'recjobs_live_max_age_seconds{catalog="shop", job="webapp"}'
BEAT = "airflow_scheduler_heartbeat_total"

Series = dict[str, str]
Case = tuple[str, Series, Series]
"""When to look; the series (promtool's notation, a sample a minute from time 0 on) that must raise the alert; those
that must not."""


def once(step: str, outcome: str, published: str = "0x30") -> Series:
    """A step that ended badly for the first time after ten minutes. The lists were published at time 0, or then."""
    return {STEPS % (step, outcome): "_x9 1x20", PUBLISHED: published}


def failing(n_failed: int, n_answered: int) -> Series:
    """So many requests a minute."""
    return {REQUESTS % 503: f"0+{n_failed}x80", REQUESTS % 200: f"0+{n_answered}x80"}


def rows(n_read: int, n_quarantined: int) -> Series:
    of_validate = {"read": n_read, "quarantined": n_quarantined}
    return {f'recjobs_{name}{{catalog="shop", step="validate"}}': f"{n}x10" for name, n in of_validate.items()}


HOUR = 3600
CASES: dict[str, Case] = {
    "ErrorBudgetBurnsFast": ("20m", failing(2, 98), failing(1, 99)),
    "ErrorBudgetBurnsSlowly": ("40m", failing(1, 99), failing(1, 1000)),
    "LatencyBudgetBurnsFast": ("20m", {BUCKET: "0+80x80", COUNT: "0+100x80"}, {BUCKET: "0+90x80", COUNT: "0+100x80"}),
    "LatencyBudgetBurnsSlowly": ("40m", {BUCKET: "0+90x80", COUNT: "0+100x80"}, {BUCKET: "0+99x80", COUNT: "0+100x80"}),
    "WebAppAway": ("5m", {'up{job="webapp"}': "0x10"}, {'up{job="webapp"}': "1x10"}),
    "ListsStale": ("10m", {PUBLISHED: f"-{36 * HOUR}x20"}, {PUBLISHED: f"-{35 * HOUR}x20"}),
    "NightFailed": ("18m", once("inspect", "refused"), once("inspect", "refused", "0x12 780x20")),
    "NightSkipped": ("18m", once("validate", "skipped"), once("begin", "skipped")),
    "DeadlineMissed": ("18m", once("begin", "skipped"), once("validate", "skipped")),
    "NightWaits": ("20m", {STEPS % ("publish", "waiting"): "0x9 1+1x10"}, {STEPS % ("publish", "waiting"): "0x9 1x20"}),
    "NightKilled": ("15m", {RUNS % "failed": "_x9 1x20"}, {RUNS % "success": "_x9 1x20"}),
    "MaintenanceFailed": ("18m", once("prune", "failed"), once("prune", "waiting")),
    "CandidateRefusedRepeatedly": (
        "5m", {'recjobs_refused_in_a_row{catalog="shop", step="report"}': "3x10"},
        {'recjobs_refused_in_a_row{catalog="shop", step="report"}': "2x10"},
    ),
    "ApprovalWaits": (
        "15m", {'recjobs_awaits_approval{catalog="shop", step="gate"}': "1x20"},
        {'recjobs_awaits_approval{catalog="shop", step="gate"}': "1x10 0x10"},
    ),
    "AliasMismatch": (
        "5m", {'recjobs_alias_mismatch{catalog="shop", step="publish"}': "1x10"},
        {'recjobs_alias_mismatch{catalog="shop", step="publish"}': "0x10"},
    ),
    "QuarantineShareHigh": ("5m", rows(100, 6), rows(100, 4)),
    "InputDrifts": (
        "5m", {'recjobs_drift_weights{catalog="shop", step="validate"}': "0.3x10"},
        {'recjobs_drift_weights{catalog="shop", step="validate"}': "0.2x10",
         'recjobs_drift_unknown_users{catalog="shop", step="validate"}': "0.4x10"},
    ),
    "DiskNearlyFull": ("10m", {FREE: "9x20", SIZE: "100x20"}, {FREE: "11x20", SIZE: "100x20"}),
    "DiskFillsUp": ("95m", {FREE: "39-0.05x95", SIZE: "100x95"}, {FREE: "39-0.01x95", SIZE: "100x95"}),
    "PostgresAway": ("5m", {"pg_up": "0x10"}, {"pg_up": "1x10"}),
    "PostgresConnectionsHigh": (
        "10m", {'pg_stat_activity_count{state="idle"}': "60x20", 'pg_stat_activity_count{state="active"}': "21x20",
                "pg_settings_max_connections": "100x20"},
        {'pg_stat_activity_count{state="idle"}': "60x20", "pg_settings_max_connections": "100x20"},
    ),
    "CertificateExpires": (
        "10m", {'probe_ssl_earliest_cert_expiry{instance="https://shop"}': f"{13 * 86400}x20"},
        {'probe_ssl_earliest_cert_expiry{instance="https://shop"}': f"{15 * 86400}x20"},
    ),
    "BackupOld": ("10m", {BACKUP: f"-{26 * HOUR}x20"}, {BACKUP: f"-{25 * HOUR}x20"}),
    "SchedulerSilent": ("20m", {BEAT: "0+12x10 120x10"}, {BEAT: "0+12x20"}),
    "DagImportErrors": (
        "10m", {"airflow_dag_processing_import_errors": "1x20"}, {"airflow_dag_processing_import_errors": "0x20"},
    ),
    "TargetDown": ("10m", {'up{job="statsd-exporter"}': "0x20"}, {'up{job="statsd-exporter"}': "1x20"}),
    "AlertsNotDelivered": (
        "20m", {'alertmanager_notifications_failed_total{integration="slack"}': "0+1x20"},
        {'alertmanager_notifications_failed_total{integration="slack"}': "3x20"},
    ),
    "PodRestarts": (
        "60m", {'kube_pod_container_status_restarts_total{pod="webapp-1"}': "0+0.1x60"},
        {'kube_pod_container_status_restarts_total{pod="webapp-1"}': "0x30 2x30"},
    ),
    "MemoryNearLimit": (
        "20m", {'container_memory_working_set_bytes{pod="webapp-1", container="webapp"}': "95x30",
                'kube_pod_container_resource_limits{pod="webapp-1", container="webapp", resource="memory"}': "100x30"},
        {'container_memory_working_set_bytes{pod="webapp-1", container="webapp"}': "80x30",
         'kube_pod_container_resource_limits{pod="webapp-1", container="webapp", resource="memory"}': "100x30"},
    ),
}  # fmt: skip
MORE: list[tuple[str, str, Series, bool]] = [
    ("NightFailed", "18m", once("validate", "skipped"), False),
    ("NightFailed", "18m", {STEPS % ("train", "failed"): "_x9 1x20"}, True),  # nothing was ever published
    ("NightFailed", "18m", once("prune", "failed"), False),
    # Prometheus was away for an hour: an old failure is no new one.
    ("NightFailed", "130m", {STEPS % ("train", "failed"): "1x20 _x60 1x60", PUBLISHED: "3000x140"}, False),
    # The exporter began anew and counts to the same number.
    (
        "NightFailed", "130m",
        {STEPS % ("train", "failed") + "": "1x20 _x100 1x20", PUBLISHED: "3000x140",
         'process_start_time_seconds{job="statsd-exporter"}': "0x30 1800x110"},
        True,
    ),
    # The hour is bad, the last five minutes are not.
    ("ErrorBudgetBurnsFast", "70m", {REQUESTS % 200: "0+90x80", REQUESTS % 503: "0+10x60 600x20"}, False),
    # Probes do not count.
    ("ErrorBudgetBurnsFast", "70m", {'http_requests_total{job="webapp", route="health", status="503"}': "0+9x80",
                                     REQUESTS % 200: "0+1x80"}, False),
    ("SchedulerSilent", "70m", {BEAT: "0+12x10"}, True),
    ("WebAppAway", "5m", {}, True),
    # serve.max_age_hours of the catalog, one way and the other.
    ("ListsStale", "10m", {PUBLISHED: f"-{30 * HOUR}x20", MAX_AGE: f"{24 * HOUR}x20"}, True),
    ("ListsStale", "10m", {PUBLISHED: f"-{40 * HOUR}x20", MAX_AGE: f"{72 * HOUR}x20"}, False),
    ("InputDrifts", "5m", {'recjobs_drift_unknown_users{catalog="shop", step="validate"}': "0.6x10",
                           'recjobs_drift_kinds{catalog="shop", step="validate"}': "0.6x10"}, True),
]  # fmt: skip
"""Alert, when to look, series, whether it fires: what a threshold alone does not say."""
AFTER_A_DAY: list[tuple[str, str, Series, bool]] = [
    ("NightFailed", "25h", {STEPS % ("train", "failed"): "_x9 1x1800", PUBLISHED: "0x1800"}, False)
]
"""A night that went wrong is told of for a day."""


def alerts() -> dict[str, dict[str, Any]]:
    files = sorted((GRAFANA / "rules").glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def promtool_test(
    rules: Path, cases: list[tuple[str, str, Series, bool]], folder: Path, interval: str = "1m"
) -> "subprocess.CompletedProcess[str]":
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in given.items()],
            "promql_expr_test": [
                {
                    "expr": f'count by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0',
                    "eval_time": at,
                    "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if fires else [],
                }
            ],
        }
        for alert, at, given, fires in cases
    ]
    file = folder / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [f"{rules}/*.yaml"], "evaluation_interval": interval, "tests": tests})
    )
    return subprocess.run([needed("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)


def both(names: Any = None) -> list[tuple[str, str, Series, bool]]:
    chosen = {name: CASES[name] for name in names or CASES}
    return [case for name, (at, fires, silent) in chosen.items()
            for case in ((name, at, fires, True), (name, at, silent, False))]  # fmt: skip


def test_each_alert_is_tested() -> None:
    assert set(CASES) == set(alerts())


def test_each_alert_fires_and_is_silent(tmp_path: Path) -> None:
    done = promtool_test(GRAFANA / "rules", both() + MORE, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool_test(GRAFANA / "rules", AFTER_A_DAY, tmp_path, "4m")
    assert done.returncode == 0, done.stdout + done.stderr
    # and a rule that never fires, or always does, is found
    rules = Path(shutil.copytree(GRAFANA / "rules", tmp_path / "rules"))
    file = rules / "nights.yaml"
    for good, bad in (('recjobs_refused_in_a_row{step="report"} >= 3', ">= 30"), ("> 0.05", "> 0.03")):
        file.write_text((GRAFANA / "rules" / "nights.yaml").read_text().replace(good, good[: good.rindex(">")] + bad))
        done = promtool_test(rules, both(["CandidateRefusedRepeatedly", "QuarantineShareHigh"]), tmp_path)
        assert done.returncode != 0, bad


def test_prometheus_and_alertmanager_can_read_their_files(tmp_path: Path) -> None:
    checks = (
        ("promtool", ["check", "config"], "prometheus.yaml", "evaluation_interval: 15s", "evaluation_interval: 15"),
        ("amtool", ["check-config"], "alertmanager.yaml", "receiver: mail", "receiver: post"),
    )
    for program, verb, name, good, bad in checks:
        sound = subprocess.run([needed(program), *verb, GRAFANA / name], capture_output=True, text=True, check=False)
        assert sound.returncode == 0, sound.stdout + sound.stderr
        folder = Path(shutil.copytree(GRAFANA, tmp_path / program))
        text = (folder / name).read_text()
        assert good in text
        (folder / name).write_text(text.replace(good, bad))
        done = subprocess.run([needed(program), *verb, folder / name], capture_output=True, text=True, check=False)
        assert done.returncode != 0, f"{program} finds {bad!r}"


def test_all_rule_files_are_read_and_checked(tmp_path: Path) -> None:
    done = subprocess.run([needed("promtool"), "check", "config", GRAFANA / "prometheus.yaml"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    for file in (GRAFANA / "rules").glob("*.yaml"):
        assert re.search(rf"{file.name}\n +SUCCESS: \d+ rules found", done.stdout), done.stdout


def test_no_secret_and_no_address_of_anybody_is_in_the_configuration() -> None:
    text = (GRAFANA / "alertmanager.yaml").read_text()
    config = yaml.safe_load(text)
    assert not re.search(r"^\s*\w*(password|api_url|credentials|token):", text, re.MULTILINE)
    hosts = set(re.findall(r"(?:@|https?://|smarthost: )([\w.-]+)", text))
    assert hosts
    assert {host for host in hosts if not host.endswith("example.com")} == set()
    assert {receiver["name"] for receiver in config["receivers"]} == {"slack", "mail", "webhook"}


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("severity=page alertname=ListsStale", "webhook,mail,slack"),
        ("severity=ticket alertname=NightSkipped", "webhook,slack"),
    ],
)
def test_a_page_goes_everywhere_and_a_ticket_wakes_nobody_by_mail(labels: str, receivers: str) -> None:
    command = [needed("amtool"), "config", "routes", "test", f"--config.file={GRAFANA / 'alertmanager.yaml'}"]
    done = subprocess.run([*command, *labels.split()], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == receivers


def test_each_alert_says_what_to_do_and_how_urgent_it_is() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    headings = re.findall(r"^### (\w+)$", page, re.MULTILINE)
    assert headings == list(dict.fromkeys(headings))
    assert set(headings) == set(alerts()), "an entry for each alert, and none for others"
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}, name
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        entry = page.split(f"\n### {name}\n")[1].split("\n#")[0]
        assert len(entry.split()) > 12, f"{name} says what to do"

"""The embedded Postgres: made once, started as often as you like, repaired whatever a kill left, gone after stop."""

import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg2
import pytest

from local import ports, postgres_binaries, socket_folder
from local.errors import LocalError, PortTaken
from local.postgres import RECJOBS_ROLES, Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("state"), ports.any_free())
    made.start()
    yield made
    made.stop()
    assert made.processes() == []


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url, connect_timeout=5)
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    finally:
        connection.close()


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=10)


def test_each_role_logs_in_with_a_password_of_its_own(cluster: Cluster) -> None:
    passwords = set()
    for role in RECJOBS_ROLES:
        assert ask(cluster.url(role), "select current_user, current_database()") == [(role, "recjobs")]
        passwords.add(urlsplit(cluster.url(role)).password)
    assert len(passwords) == len(RECJOBS_ROLES)


def test_a_role_that_an_older_release_did_not_know_gets_its_password(cluster: Cluster) -> None:
    admin, lines = cluster.url(), cluster.pgpass.read_text().splitlines()
    cluster.pgpass.write_text("".join(f"{line}\n" for line in lines if "recjobs_editor" not in line))
    connection = psycopg2.connect(admin)
    connection.autocommit = True
    connection.cursor().execute("drop role recjobs_editor")
    connection.close()
    cluster.start()
    assert ask(cluster.url("recjobs_editor"), "select current_user") == [("recjobs_editor",)]
    assert [line for line in cluster.pgpass.read_text().splitlines() if "recjobs_editor" not in line] == [
        line for line in lines if "recjobs_editor" not in line
    ]


def test_airflow_and_mlflow_have_databases_that_recjobs_roles_cannot_enter(cluster: Cluster) -> None:
    for name in ("airflow", "mlflow"):
        assert ask(cluster.url(name, name), "select current_database()") == [(name,)]
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            ask(cluster.url("recjobs_reader", name), "select 1")


@pytest.mark.parametrize("password", ["", "recjobs_reader", "postgres"])
def test_nobody_gets_in_without_the_password(cluster: Cluster, password: str) -> None:
    where = parse_qs(urlsplit(cluster.url()).query)["host"][0]
    for host in (where, "127.0.0.1"):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(
                host=host,
                port=cluster.port,
                user="recjobs_reader",
                password=password,
                dbname="recjobs",
                passfile="/dev/null",
            )


def test_passwords_stand_in_private_files_and_in_no_process_argument(cluster: Cluster) -> None:
    assert stat.S_IMODE(cluster.pgpass.stat().st_mode) == 0o600
    passwords = [line.split(":")[4] for line in cluster.pgpass.read_text().splitlines()]
    for process in psutil.process_iter():
        try:
            arguments = " ".join(process.cmdline())
        except psutil.Error:
            continue
        assert not any(password in arguments for password in passwords)


def test_the_printed_psql_line_works(cluster: Cluster) -> None:
    program = f"PGPASSFILE={cluster.pgpass} {postgres_binaries.psql()}"
    line = f"{program} -h 127.0.0.1 -p {cluster.port} -U recjobs_reader recjobs"
    done = subprocess.run(f"{line} -Atc 'select current_user'", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "recjobs_reader\n"


def test_it_listens_on_this_machine_only_and_keeps_what_it_acknowledged(cluster: Cluster) -> None:
    assert ask(cluster.url(), "show listen_addresses") == [("127.0.0.1",)]
    assert ask(cluster.url(), "show fsync") == [("on",)]
    assert ask(cluster.url(), "show timezone") == [("UTC",)]


def test_a_second_start_finds_the_running_server(cluster: Cluster) -> None:
    before = cluster.postmaster()
    Cluster(cluster.state, cluster.port).start()
    assert cluster.postmaster() == before


def test_a_killed_server_starts_again_with_what_was_committed(cluster: Cluster) -> None:
    connection = psycopg2.connect(cluster.url())
    connection.cursor().execute("create table kept as select 7 as n")
    connection.commit()
    postmaster = cluster.postmaster()
    assert postmaster
    kill(postmaster.pid)
    cluster.start()
    assert ask(cluster.url(), "select n from kept") == [(7,)]
    connection.close()


def test_a_pid_that_now_belongs_to_another_program_is_not_mistaken_for_the_server(cluster: Cluster) -> None:
    cluster.stop()
    pid_file = cluster.data / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{cluster.data}\n{int(time.time())}\n{cluster.port}\n\n\n")
    runner = postgres_binaries.identity(postgres_binaries.find(), cluster.state)
    os.chown(pid_file, runner.uid, runner.gid)
    assert cluster.postmaster() is None
    cluster.stop()  # must not signal us
    cluster.start()
    assert ask(cluster.url(), "select 1") == [(1,)]


def test_another_port_takes_effect_at_the_next_start(cluster: Cluster) -> None:
    elsewhere = Cluster(cluster.state, ports.any_free())
    elsewhere.start()
    assert ask(elsewhere.url(), "show port") == [(str(elsewhere.port),)]
    assert ports.is_free(cluster.port)
    cluster.start()
    assert ports.is_free(elsewhere.port)


def test_a_half_made_server_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    (tmp_path / "pgpass").write_text("*:*:*:admin:of an earlier try\n")
    cluster = Cluster(tmp_path, ports.any_free())
    try:
        cluster.start()
        assert ask(cluster.url(), "select 1") == [(1,)]
    finally:
        cluster.stop()
    assert cluster.processes() == []
    assert not unfinished.exists()


def test_a_taken_port_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {taken} is taken.*set POSTGRES_PORT={taken + 1} or stop"):
            Cluster(tmp_path, taken).start()
    assert not (tmp_path / "postgres" / "data").exists()


def test_a_lost_password_file_is_a_clear_message(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{postgres_binaries.major_version(postgres_binaries.find())}\n")
    with pytest.raises(LocalError, match="pgpass with the passwords is gone: put it back, or remove"):
        Cluster(tmp_path, ports.any_free()).start()


def test_a_server_of_another_version_is_a_clear_message(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(LocalError, match="was made by PostgreSQL 9"):
        Cluster(tmp_path, ports.any_free()).start()


def test_a_deep_checkout_gets_a_socket_under_the_temporary_folder(tmp_path: Path) -> None:
    deep = tmp_path.joinpath("a folder", *["deeper"] * 20)
    cluster = Cluster(deep, ports.any_free())
    folder = socket_folder.of(cluster.home)
    try:
        cluster.start()
        assert ask(cluster.url("recjobs_reader"), "select 1") == [(1,)]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(str(folder)) + len("/.s.PGSQL.65535") <= 107
    finally:
        cluster.stop()
    assert folder != cluster.home
    assert not folder.exists()


def test_a_comma_in_the_path_is_no_second_host() -> None:
    home = Path("/home/ann/shop, the second/.local/postgres")
    assert "," not in str(socket_folder.of(home))
    assert socket_folder.of(Path("/home/ann/shop two/.local/postgres")) == Path("/home/ann/shop two/.local/postgres")


def test_any_path_will_do_and_a_server_is_still_ours_when_its_checkout_is_moved(tmp_path: Path) -> None:
    before, after = tmp_path / "it's an \u00fcml\u00e4ut, no. 1", tmp_path / "els\u00e9where, it's 2"
    port = ports.any_free()
    made = Cluster(before / "state", port)
    made.start()
    assert ask(made.url(), "select 1") == [(1,)]
    before.rename(after)
    moved = Cluster(after / "state", port)
    assert moved.postmaster() is not None
    moved.start()
    assert ask(moved.url("recjobs_reader"), "select 1") == [(1,)]
    moved.stop()
    assert moved.postmaster() is None
    assert moved.processes() == []


def test_what_a_shell_would_expand_in_the_path_is_a_letter_like_others(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / 'a $HOME, `id` $(id) "b" \\ c' / "state", ports.any_free())
    try:
        cluster.start()
        assert ask(cluster.url("recjobs_reader"), "select 1") == [(1,)]
        assert cluster.postmaster() is not None
        assert cluster.log.exists()
    finally:
        cluster.stop()
    assert cluster.processes() == []


def test_programs_that_lie_where_a_shell_would_expand_their_path_are_a_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "$HOME"
    folder.symlink_to(postgres_binaries.find())
    monkeypatch.setattr(postgres_binaries, "_candidates", lambda: [folder])
    with pytest.raises(LocalError, match=r"cannot run in a folder with one of .* in its path.*move the checkout"):
        Cluster(tmp_path / "state", ports.any_free()).start()


def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "theirs"
    target.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    owner = postgres_binaries.Identity((), os.geteuid(), os.getegid())
    with pytest.raises(LocalError, match="belongs to another user"):
        socket_folder.make(link, owner)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
@pytest.mark.parametrize("way", range(3), ids=["nobody", "user namespace", "nobody with a capability"])
def test_root_runs_it_as_somebody_else_also_where_only_root_may_look(
    way: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = postgres_binaries.for_root()[way]
    monkeypatch.setattr(postgres_binaries, "for_root", lambda: [identity])
    if way == 0:
        for folder in (tmp_path, *tmp_path.parents[:3]):
            folder.chmod(0o755)
    else:
        tmp_path.chmod(0o700)
    cluster = Cluster(tmp_path, ports.any_free())
    try:
        cluster.start()
        assert ask(cluster.url(), "select 1") == [(1,)]
        postmaster = cluster.postmaster()
        assert postmaster
        assert postmaster.uids().effective == identity.uid
        assert cluster.data.stat().st_uid == identity.uid
        assert ask(cluster.url(), "show hba_file") == [(str(cluster.hba),)]
        assert (cluster.hba.stat().st_uid, stat.S_IMODE(cluster.hba.stat().st_mode)) == (0, 0o644)
        assert cluster.hba.parent.stat().st_uid == 0
    finally:
        cluster.stop()
    assert cluster.processes() == []

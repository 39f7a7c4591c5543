"""The `recjobs` command: every verb explains itself, every failure is one message and the right exit code."""

import json
import os
import shlex
import subprocess
import sys

import click
import pytest
import yaml
from click.shell_completion import ShellComplete

from recjobs import NIGHT, __main__, config
from recjobs.__main__ import cli, main
from recjobs.cli.options import overrides_of
from recjobs.errors import Misuse
from tests.unit.test_errors import classes


def verbs(group, before=()):
    """Every command line that does something: ("night",), ("data", "list"), ..."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from verbs(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(verbs(cli))
VERBS = sorted(cli.commands)
CATALOG = {"sources": [{"path": "a.csv", "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"}}]}


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Runs a command line in this process: (exit code, stdout, stderr). There is one catalog, `shop`, and no data."""
    for field in config.Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setenv("RECJOBS_CATALOGS", str(tmp_path))
    monkeypatch.setenv("RECJOBS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("RECJOBS_DATA", str(tmp_path / "data"))
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(CATALOG))

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["recjobs", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return invoke


def test_every_step_is_a_verb():
    assert set(NIGHT) <= set(VERBS)
    assert {"night", "begin", "roll-back", "promote", "prune", "migrate", "init", "status"} <= set(VERBS)


@pytest.mark.parametrize("verb", COMMANDS, ids=" ".join)
def test_every_verb_has_help_with_an_example_that_parses_and_json(run, verb):
    code, out, err = run(*verb, "--help")
    assert (code, err) == (0, "")
    assert "Example: recjobs" in out
    command = COMMANDS[verb]
    words = shlex.split(command.epilog.removeprefix("Example: "))
    assert words[: len(verb) + 1] == ["recjobs", *verb]
    command.make_context(verb[-1], words[len(verb) + 1 :])
    assert "--json" in [option for parameter in command.params for option in parameter.opts]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_the_help_of_all_lists_every_verb(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)
    assert "Example: recjobs night --catalog sample" in out


@pytest.mark.parametrize(("typed", "offered"), [("", ["shop", "toys"]), ("t", ["toys"]), ("x", [])])
@pytest.mark.parametrize("verb", [["night"], ["check"], ["rule", "list"]])
def test_a_shell_offers_the_catalogs(monkeypatch, tmp_path, verb, typed, offered):
    for name in ("shop", "toys"):
        (tmp_path / f"{name}.yaml").write_text("")
    monkeypatch.setenv("RECJOBS_CATALOGS", str(tmp_path))
    completion = ShellComplete(cli, {}, "recjobs", "_RECJOBS_COMPLETE")
    assert [one.value for one in completion.get_completions([*verb, "--catalog"], typed)] == offered


def test_a_shell_offers_nothing_where_a_setting_is_wrong(monkeypatch):
    monkeypatch.setenv("RECJOBS_THREADS", "many")
    completion = ShellComplete(cli, {}, "recjobs", "_RECJOBS_COMPLETE")
    assert completion.get_completions(["night", "--catalog"], "") == []


def test_without_a_verb_the_help_is_shown_and_it_is_misuse(run):
    code, out, err = run()
    assert (code, out) == (64, "")
    assert err.startswith("Usage: ")
    assert "Example: recjobs night" in err


def test_the_version_is_said(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("recjobs, version ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nigth"],
        ["night"],
        ["night", "--catalog"],
        ["night", "--catalog", "shop", "--as-off", "2011-01-01"],
        ["night", "--catalog", "shop", "--set", "factors"],
        ["night", "--catalog", "shop", "--set", "=3"],
        ["night", "--catalog", "shop", "--set", "factors=[1"],
        ["night", "--catalog", "shop", "--set", "factor=32"],
        ["night", "--catalog", "shop", "--set", "factors=many"],
        ["night", "--catalog", "shop", "--set", "name=other"],
        ["night", "--catalog", "shop", "--force", " "],
        ["night", "--catalog", "ship"],
        ["night", "--catalog", "../shop"],
        ["train", "--catalog", "shop"],
        ["train", "--catalog", "shop", "--batch-id", "latest"],
        ["train", "--catalog", "shop", "--batch-id", "../../x"],
        ["promote", "--catalog", "shop", "--model-version", "3"],
        ["init"],
    ],
)
def test_what_cannot_be_asked_is_64_and_says_why(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (64, "")
    assert err.strip()
    assert "Traceback" not in err


def test_a_wrong_catalog_file_is_78_and_names_the_file(run, tmp_path):
    (tmp_path / "shop.yaml").write_text("sources: []\n")
    code, _, err = run("night", "--catalog", "shop")
    assert code == 78
    assert f"recjobs: {tmp_path}/shop.yaml: sources: " in err


def test_a_wrong_setting_is_78_and_is_named(run, monkeypatch):
    monkeypatch.setenv("RECJOBS_THREADS", "many")
    code, _, err = run("night", "--catalog", "shop")
    assert code == 78
    assert "setting RECJOBS_THREADS='many'" in err


def test_a_source_that_is_not_there_is_65_and_named(run, tmp_path):
    code, out, err = run("night", "--catalog", "shop")
    assert (code, out) == (65, "")
    assert err.startswith(f"recjobs: {tmp_path}/data/a.csv: there is no such file")


def test_a_step_of_a_night_that_never_began_is_65(run):
    code, _, err = run("train", "--catalog", "shop", "--batch-id", "20240601T120000Z-1")
    assert code == 65
    assert "run that step first" in err


def test_no_database_is_78_and_says_what_to_do(run):
    code, _, err = run("roll-back", "--catalog", "shop")
    assert code == 78
    assert "`make up`" in err


def test_a_database_that_does_not_answer_is_75(run, monkeypatch):
    monkeypatch.setenv("RECJOBS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    code, _, err = run("roll-back", "--catalog", "shop")
    assert code == 75
    assert err.startswith("recjobs: ")


@pytest.mark.parametrize(
    "url", ["postgresql//u:s3cret-of-u@h/d", "postgresq://u:s3cret-of-u@h/d", "postgresql://u:s3cret-of-u@h:port/d"]
)
def test_a_database_url_that_is_none_is_78_and_is_not_shown(run, monkeypatch, url):
    monkeypatch.setenv("RECJOBS_DATABASE_URL", url)
    for verb in (("roll-back", "--catalog", "shop"), ("migrate",), ("audit",), ("status",)):
        code, out, err = run(*verb)
        said = err if code else out
        assert (code, "is no URL such as postgresql://" in said, "s3cret" in said) == (
            0 if verb == ("status",) else 78, True, False,
        )  # fmt: skip


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_each_error_ends_the_command_with_its_code_and_its_message_alone(kind, capsys):
    def command():
        raise kind("what was wrong, and the way out")

    assert __main__._exit_code(command) == kind.exit_code
    assert capsys.readouterr().err == "recjobs: what was wrong, and the way out\n"


def test_a_defect_of_ours_is_70_with_its_place_and_no_traceback(capsys):
    def command():
        raise ZeroDivisionError("by zero")

    assert __main__._exit_code(command) == 70
    said = capsys.readouterr().err
    assert "a defect of ours: ZeroDivisionError: by zero" in said
    assert "test_cli.py:" in said
    assert "Traceback" not in said


def test_to_interrupt_is_130(capsys):
    def command():
        raise KeyboardInterrupt

    assert __main__._exit_code(command) == 130
    assert "goes on where this one stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "overrides"),
    [
        ("factors=32", {"factors": 32}),
        ("model.alpha=2.5", {"model.alpha": 2.5}),
        ("half_life_days=null", {"half_life_days": None}),
        ("seen=allow", {"seen": "allow"}),
        ("description=a=b", {"description": "a=b"}),
        ("description=", {"description": None}),
    ],
)
def test_a_setting_is_a_key_and_a_yaml_value(given, overrides):
    assert overrides_of((given,)) == overrides


def test_a_setting_without_a_key_is_misuse():
    with pytest.raises(Misuse, match="say KEY=VALUE"):
        overrides_of(("factors",))


def test_the_last_line_of_stdout_is_one_json_object(run, tmp_path):
    (tmp_path / "buys.csv").write_text("user,item,time\nu,i,2011-12-09\n")
    code, out, _ = run("init", str(tmp_path / "buys.csv"), "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["catalog"] == "buys"
    assert len(out.splitlines()) == 1


def test_without_json_the_result_is_a_line_to_read(run, tmp_path):
    (tmp_path / "buys.csv").write_text("user,item,time\nu,i,2011-12-09\n")
    code, out, _ = run("init", str(tmp_path / "buys.csv"))
    assert code == 0
    assert out.startswith("catalog=buys  file=")


def test_the_installed_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "recjobs", "nigth"], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 64
    assert "No such command 'nigth'" in done.stderr

"""How two builds are measured beside each other, and how a night's steps are timed."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import yaml

from benchmarks import (
    evaluate,
    generate,
    growth,
    kernels,
    peers,
    plan,
    restore,
    startup,
    steps,
    through_airflow,
    validate,
)
from benchmarks.__main__ import HEAD, Stage
from benchmarks.beside import Build, Comparison, environment, median_interval, table, turns
from benchmarks.night import BEGIN, FLIP, Night, step_seconds
from recjobs.catalog.file import Catalog
from recjobs.config import ROOT
from recjobs.core.estimate import Cost, Past, Size


def test_two_builds_take_turns_so_that_neither_is_always_first() -> None:
    a, b = Build("a", ROOT), Build("b", ROOT)
    assert [(count, build.name) for count, build in turns([a, b], 3)] == [
        (0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b"),
    ]  # fmt: skip


def test_a_stage_is_held_against_its_floor_or_its_peer_and_passes_up_to_its_target() -> None:
    floored = Stage("score", 5.0, 2.0, None, "the products alone", 2.5)
    assert (floored.ratio, floored.passes) == (2.5, True)
    slower = Stage("score", 5.0, None, 4.0, "implicit", 0.65)
    assert (slower.ratio, slower.passes) == (1.25, False)
    assert Stage("encode", 1.0, None, 4.0, "Parquet", None).passes is None
    assert HEAD.split() == ["stage", "ours", "floor", "peer", "ratio", "target", "pass", "against"]
    assert floored.line().split()[:6] == ["score", "5.00s", "2.00s", "2.50", "2.50", "yes"]
    assert [HEAD.index("against"), HEAD.index("pass") + 4] == [
        floored.line().index("the products"), floored.line().index("yes") + 3,
    ]  # fmt: skip
    assert slower.line().split()[1:6] == ["5.00s", "4.00s", "1.25", "0.65", "NO"]


def test_a_night_passes_beside_a_peers_if_it_is_fast_enough_and_its_lists_are_not_worse() -> None:
    taken = (peers.Taken(30.0, 900.0), peers.Taken(60.0, 1200.0))
    passing = peers.Line("ours", "tutorial", taken, (0.09, 0.09), 0.5)
    assert (passing.ratio, passing.passes) == (0.5, True)
    assert not peers.Line("ours", "tutorial", taken, (0.09, 0.09), 0.4).passes
    assert not peers.Line("ours", "tutorial", taken, (0.08, 0.09), 0.5).passes
    head, line = peers.report([passing])
    assert line.split() == [
        "ours",
        ":",
        "tutorial",
        "30.0s",
        "60.0s",
        "0.50",
        "0.50",
        "yes",
        "900/1,200",
        "0.0900/0.0900",
    ]
    assert [head.index(word) + len(word) for word in ("ours", "peer", "ratio", "pass", "MiB")] == [
        line.index(word) + len(word) for word in ("30.0s", "60.0s", "0.50", "yes", "900/1,200")
    ]
    [row] = peers.as_json([passing])
    assert (row["ratio"], row["passes"], row["ndcg_at_20"]) == (0.5, True, [0.09, 0.09])


def test_growth_is_drawn_by_size_from_the_medians_of_our_own_nights(tmp_path) -> None:  # type: ignore[no-untyped-def]
    def run(interactions: int, *seconds: float) -> dict[str, object]:
        nights = [{"build": "this", "seconds": {FLIP: each}, "peak_mib": 100 * each} for each in seconds]
        return {"interactions": interactions, "nights": [*nights, {"build": "457a3fa", "seconds": {FLIP: 99.0}}]}

    runs = [run(20_000_000, 100.0, 90.0, 110.0), run(2_000_000, 10.0)]
    assert growth.points(runs) == [(2_000_000, 10.0, 1000.0), (20_000_000, 100.0, 10_000.0)]
    growth.draw(runs, tmp_path / "growth.svg")
    assert "</svg>" in (tmp_path / "growth.svg").read_text()


def test_a_ratio_is_taken_within_each_round_and_their_median_counts() -> None:
    summary = Comparison([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]).summary()
    assert summary["ratios"] == [1.0, 2.0, 3.0]
    assert (summary["this"], summary["other"]) == (4.0, 2.0)
    assert (summary["ratio"], summary["ratio_min"], summary["ratio_max"]) == (2.0, 1.0, 3.0)


def test_the_interval_of_a_median_holds_it_in_95_of_100_series_and_is_printed() -> None:
    # the 4th and 13th of 16: P(fewer than 4 of 16 on one side) is twice 697 / 65,536
    assert median_interval(range(16, 0, -1)) == (4, 13)
    assert median_interval(range(1, 7)) == (1, 6)
    assert median_interval([2.0, 1.0, 3.0]) == (1.0, 3.0)
    rng = np.random.default_rng(5)
    held = [low <= 0 <= high for low, high in (median_interval(rng.normal(size=16).tolist()) for _ in range(2000))]
    assert 0.96 < np.mean(held) < 0.99
    ratios = [1 + k / 100 for k in range(16)]
    head, line = table([Build("a", ROOT), Build("b", ROOT)], {"requests": Comparison(ratios, [1.0] * 16)})
    assert "95%" in head
    assert line.split()[3:8] == ["1.075", "1.030", "1.120", "1.00", "1.15"]


def test_a_step_takes_from_the_end_of_the_step_before_whatever_else_is_printed_meanwhile() -> None:
    lines = [
        (1.0, "a warning"),
        (2.0, "night 20251009T084545Z-1 of bench"),
        (2.5, "  extract         0.5 s  read=10  excluded=0"),
        (4.0, "another warning"),
        (5.5, "  gate            3.0 s  verdict=unclear"),
        (5.75, "the gate cannot tell, so the champion stays."),
        (6.0, "  refit            left out: the candidate was refused, 20251008T084545Z-1 stays live"),
        (8.0, "  score           2.0 s  users=4  n=100"),
    ]
    assert step_seconds(lines) == {BEGIN: 2.0, "extract": 0.5, "gate": 3.0, "score": 2.5}


def lists(*rows: tuple[list[str], list[float]]) -> pa.Table:
    users = [f"u{n}" for n in range(len(rows))]
    return pa.table({"user_id": users, "item_ids": [ids for ids, _ in rows], "scores": [scores for _, scores in rows]})


def test_two_nights_lists_are_compared_by_their_first_items_as_wholes_and_by_the_scores_that_changed_places() -> None:
    ids = [f"i{n}" for n in range(30)]
    scores = [8.0 - n / 8 for n in range(30)]
    late = [*ids[:28], "i29", "i28"]
    same, swapped = (ids, scores), (late, scores)
    found = kernels.difference(lists(same, same), lists(same, swapped))
    assert (found.n, found.first, found.whole, found.apart) == (2, 0, 1, 0), "the places keep their scores"
    nearly = [*scores[:28], scores[28] + 8 * kernels.TOLERANCE, scores[29]]
    found = kernels.difference(lists(same), lists((late, nearly)))
    assert found.apart == pytest.approx(kernels.TOLERANCE)
    assert not found.is_small, "one list of one is too many"
    assert kernels.difference(lists(*[same] * 200), lists(*[same] * 199, swapped)).is_small
    first = (["i1", "i0", *ids[2:]], scores)
    assert not kernels.difference(lists(*[same] * 200), lists(*[same] * 199, first)).is_small


def test_a_commands_start_is_told_by_processor_time_and_one_that_fails_ends_the_run() -> None:
    variables = environment({})
    nothing, busy = (
        startup.processor_seconds([sys.executable, "-c", code], variables)
        for code in ("pass", "import time\nwhile time.process_time() < 1: pass")
    )
    asleep = startup.processor_seconds([sys.executable, "-c", "import time; time.sleep(1)"], variables)
    assert 0 < nothing < 1 <= busy
    assert asleep < 1, "waiting costs nothing"
    with pytest.raises(SystemExit, match="failed with exit code 3:\nno such verb"):
        startup.processor_seconds(
            [sys.executable, "-c", "import sys; print('no such verb', file=sys.stderr); sys.exit(3)"], variables
        )


def test_a_plan_passes_if_each_figure_is_as_near_as_is_asked() -> None:
    size = Size(rows=1_050, interactions=1_000, users=10, items=20, stored=100, factors=64)
    steps = {"train": Cost(60.0, 800 * plan.MIB, 30 * plan.MIB), "score": Cost(40.0, 1_000 * plan.MIB, 70 * plan.MIB)}
    past = Past("20250101T000000Z-1", size, steps, 200 * plan.MIB)
    planned = {
        "size": {"interactions": 1_040}, "peak_bytes": 760 * plan.MIB, "seconds": 126.0,
        "artifact_bytes": 94 * plan.MIB, "database_bytes": 209 * plan.MIB,
    }  # fmt: skip
    found = {line.what: (round(line.ratio, 2), line.passes) for line in plan.lines(planned, past)}
    assert found == {
        "interactions": (1.04, True), "memory, MiB": (0.76, True), "seconds": (1.26, False),
        "files, MiB": (0.94, False), "Postgres, MiB": (1.04, True),
    }  # fmt: skip
    assert str(plan.lines(planned, past)[2]).split() == ["seconds", "126.0", "100.0", "1.26", "within", "25%", "NO"]


def test_a_restore_is_a_line_with_its_size_times_and_lists() -> None:
    measured = {"night": 61.04, "back-up": 9.0, "restore": 12.26, "bytes": 123_400_000, "lists": 40_000}
    words = restore.line(2_000_000, measured).split()
    assert words == ["2,000,000", "61.0s", "9.0s", "12.3s", "123", "MB", "40,000", "equal"]


def test_the_evaluators_lists_are_measured_again_user_by_user(tmp_path) -> None:
    columns = {"user_id": ["a", "a", "b"], "item_id": ["1", "2", "3"]}
    pq.write_table(pa.table(columns), tmp_path / "test.parquet")
    lists = {"user_id": ["a", "a", "b", "b"], "rank": [1, 2, 1, 2], "item_id": ["9", "2", "8", "7"]}
    pq.write_table(pa.table(lists), tmp_path / "lists.parquet")
    recall, ndcg = evaluate._measured(tmp_path)
    assert recall == pytest.approx((1 / 2 + 0) / 2)
    assert ndcg == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)) / 2)


def test_a_fifth_of_each_users_pairs_is_to_be_found(tmp_path, monkeypatch) -> None:
    pairs = np.repeat(np.arange(8), 10), np.tile(np.arange(10), 8)
    monkeypatch.setattr(evaluate, "_pairs", lambda name: pairs)
    assert evaluate._write("eight", tmp_path) == (8, 10)
    train, test = (pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("train", "test"))
    assert {tuple(row.values()) for row in train + test} == set(zip(*map(np.ndarray.tolist, pairs), strict=True))
    assert len(train) + len(test) == 80
    assert all(sum(row["user_id"] == user for row in test) == 2 for user in range(8))


def test_a_search_can_be_given_processor_time() -> None:
    program = [sys.executable, "-c", evaluate.BY_PROCESSOR_TIME]
    done = subprocess.run([*program, "evaluate", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--tune" in done.stdout


def test_validate_is_measured_on_the_same_rows_in_each_shape(tmp_path) -> None:
    generate.write(tmp_path / "rows.parquet", 20, 30, 500)
    validate._reshape(tmp_path)
    (plain,) = tmp_path.glob("rows.parquet")
    names = ["user_id", "item_id", "timestamp", "rating"]
    expected = pq.read_table(plain, columns=names).sort_by([(name, "ascending") for name in names])

    folders = sorted(tmp_path.glob("partitioned/month=*"))
    assert len(folders) > 12
    parts = pa.concat_tables([pq.ParquetFile(*folder.iterdir()).read() for folder in folders])
    assert pa.types.is_decimal(parts["user_id"].type)
    assert parts["timestamp"].type == pa.timestamp("ns", "UTC")
    parts = parts.set_column(2, "timestamp", parts["timestamp"].cast(pa.timestamp("s", "UTC")))
    for shape in (parts, pa_csv.read_csv(tmp_path / "rows.csv")):
        assert shape.cast(expected.schema).sort_by([(name, "ascending") for name in names]).equals(expected)
    for shape, text in validate.SHAPES.items():
        (source,) = Catalog.model_validate({"name": shape, **yaml.safe_load(text)}).sources
        assert list(tmp_path.glob(str(source.path))), shape


def test_steps_are_held_against_the_floors_and_peers_of_their_run_and_nights_against_targets() -> None:
    def of(seconds: float, mib: float) -> Night:
        took = {FLIP: seconds, "extract": 1.0, "validate": 2.0, "split": 3.0, "train": 8.0, "score": 20.0}
        return Night(took, mib, mib + 100, {"train": {"iterations": 3}, "refit": {"iterations": 2}})

    ours = {kind: [of(100.0 + place, 2_900.0 + 100 * place)] for place, kind in enumerate(steps.KINDS)}
    floors = {steps.READING: 0.5, steps.PRODUCTS: 2.0, steps.LISTS: 1.0, steps.COPY: 2.5}
    peer = {"read": 3.0, "fit": 45.0, "lists": 10.0, "write": 30.0}
    table = {one.name: one for one in steps.steps(ours, floors, peer, n_users=80_000)}
    read, train, score = (table[name] for name in ("extract, validate, split", "train", "score"))
    assert read.line().split()[-8:] == ["6.0", "6.0", "6.0", "6.0", "0.5", "3.0", "12.00", "2.00"]
    assert (train.floor, train.peer, train.line().split()[-1]) == (None, 9.0, "0.89")  # 3 of its 15 iterations
    assert table["evaluate, gate"].floor == 1.0  # a quarter of the users, of two models
    assert score.line().split()[-2:] == ["10.00", "2.00"]
    head, *lines = steps.report(list(table.values()), ours, has_targets=True)
    assert len(head) == len(score.line())
    assert [line.split() for line in lines[-7:]] == [
        ["command", "to", "flip", "100.0", "101.0", "102.0", "103.0"],
        ["target", "90", "150", "45", "90"],
        ["pass", "NO", "yes", "NO", "NO"],
        ["peak", "memory,", "MiB", "2,900.0", "3,000.0", "3,100.0", "3,200.0"],
        ["with", "Postgres',", "MiB", "3,000.0", "3,100.0", "3,200.0", "3,300.0"],
        ["target", "3,072", "3,072", "3,072", "3,072"],
        ["pass", "yes", "NO", "NO", "NO"],
    ]
    assert "target" not in "".join(steps.report(list(table.values()), ours, has_targets=False))


def test_a_night_under_airflow_is_held_against_one_command_by_the_task() -> None:
    steps_of = {BEGIN: 2.0, "train": 5.0, "report": 1.0}
    tasks = {"begin": 2.5, "train": 6.5, "report": 2.0}
    pairs = [through_airflow.Pair(10.0, 10.0 + more, steps_of, tasks) for more in (6.0, 3.0, 4.5)]
    lines = {line.split()[0]: line.split() for line in through_airflow.report(pairs)}
    assert lines["begin"] == ["begin", "2.0", "2.5", "0.5"]
    assert lines["train"] == ["train", "5.0", "6.5", "1.5"]
    assert through_airflow.report(pairs)[-2].split()[-3:] == ["10.0", "14.5", "4.5"]
    assert through_airflow.report(pairs)[-1].endswith("3 tasks, their waits included: 1.50 s (target 2.0: yes)")
    assert "NO" in through_airflow.report([through_airflow.Pair(10.0, 17.0, steps_of, tasks)])[-1]

"""The plots of the report: names as they are, and nothing drawn over anything else."""

import re
from xml.etree import ElementTree

import pytest

from recjobs.reports import plots

NAMES = [r"$\frac$", "$x", "5 $ and 6 $", r"\alpha", "a_b^c", "<b>&amp;</b>", "%s {0}"]


def texts(svg: str) -> dict[str, float]:
    """Each text with its height on the page, from above."""
    found = {}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        place = re.search(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform", ""))
        found["".join(element.itertext())] = float(place[2] if place else element.get("y", "nan"))
    return found


def top_of_axes(svg: str) -> float:
    patch = re.search(r'<g id="patch_2">\s*<path d="([^"]+)"', svg)
    assert patch
    return min(float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", patch[1]))


def test_names_and_labels_are_drawn_as_they_are_written():
    n, label = len(NAMES), r"NDCG $\frac$"
    all_of = {*NAMES, label}
    assert all_of <= set(texts(plots.metric_bars(NAMES, [0.2] * n, [0.1] * n, [None] * n, label)))
    assert all_of <= set(texts(plots.before_and_now({name: [1, 2] for name in NAMES}, label)))
    assert all_of <= set(texts(plots.shares(NAMES, [0.1] * n, label)))
    assert label in texts(plots.best_against_time([1, 2], [0.1, 0.2], [True, False], 0.1, label))


@pytest.mark.parametrize(
    "svg",
    [
        plots.before_and_now({f"{n} and more": [5, 5] for n in range(9)}, "weight"),
        plots.best_against_time([1, 2, 3], [0.3, 0.2, 0.1], [True, False, True], 0.1, "NDCG@20"),
    ],
    ids=["drift", "search"],
)
def test_a_legend_stands_above_what_is_drawn(svg):
    said = texts(svg)
    for label in {"before", "now", "best so far", "complete", "given up"} & set(said):
        assert said[label] < top_of_axes(svg), label

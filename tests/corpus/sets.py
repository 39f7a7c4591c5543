"""Faults of whole sets: every row is sound by itself, or none is."""

from datetime import timedelta

from tests.corpus.ground import SOUND, Ground
from tests.worlds import DAY_0


def one_row(ground: Ground) -> None:
    ground.all(SOUND[:1])


def one_user(ground: Ground) -> None:
    ground.rows(user=lambda _: "u")


def one_item(ground: Ground) -> None:
    ground.rows(item=lambda _: "i")


def everyone_the_same(ground: Ground) -> None:
    ground.all([row | {"user": f"u{u}", "at": f"2025-03-{1 + n}T10:00:{u:02}Z"} for u in range(40)
                for n, row in enumerate(SOUND[:8])])  # fmt: skip


def a_bot(ground: Ground) -> None:
    ground.rows(*({"user": "bot", "item": f"i{n % 13:02}", "at": f"2025-03-02T{n // 60:02}:{n % 60:02}:00Z"}
                  for n in range(1200)))  # fmt: skip


def bots_only(ground: Ground) -> None:
    ground.rows()
    ground.tree["limits"] = {"bots": {"min_interactions": 1, "max_share": 0}}


def the_same_row_again_and_again(ground: Ground) -> None:
    ground.all(SOUND[:1] * 200)


def every_row_twice(ground: Ground) -> None:
    ground.all(SOUND * 2)


def every_row_bad(ground: Ground) -> None:
    ground.rows(user=lambda _: "")


def every_row_excluded(ground: Ground) -> None:
    ground.rows()
    ground.source["where"] = {"all_users": {"column": "user", "matches": "."}}


def nothing_in_the_holdout(ground: Ground) -> None:
    ground.rows()
    ground.tree |= {"holdout_days": 0.001, "min_holdout_users": 1000}


def everything_in_the_holdout(ground: Ground) -> None:
    ground.rows()
    ground.tree["holdout_days"] = 10_000


def all_at_one_instant(ground: Ground) -> None:
    ground.rows(at=lambda _: "2025-03-02T10:00:00Z")


def all_in_the_future(ground: Ground) -> None:
    ground.rows(at=lambda _: "2999-01-01T00:00:00Z")


def ten_times_fewer(ground: Ground) -> None:
    ground.all([row | {"at": f"{DAY_0 + timedelta(days=100 + n):%Y-%m-%d}"} for n, row in enumerate(SOUND[:20])])


def ten_times_more(ground: Ground) -> None:
    ground.all([row | {"user": f"{row['user']} {n}"} for row in SOUND for n in range(10)])


def days_old(ground: Ground) -> None:
    ground.rows({"user": "one more"})
    ground.tree["live"] = True


def days_old_and_refused_for_it(ground: Ground) -> None:
    days_old(ground)
    ground.tree["limits"] = {"freshness": {"action": "refuse"}}


def just_now(ground: Ground) -> None:
    began = ground.now - timedelta(hours=len(SOUND))
    ground.all([row | {"at": f"{began + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ}"} for n, row in enumerate(SOUND)])
    ground.tree["live"] = True

"""What a notebook begins with: the live batch's interactions, and the champion with its factors, by id."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from recjobs.catalog.files import load_catalog
from recjobs.config import load_settings
from recjobs.errors import Misuse
from recjobs.night.night import Night, database
from recjobs.night.request import ChampionPin


@dataclass(frozen=True)
class Live:
    """What a catalog serves now: the night that made it, and the model in charge (None: popular lists only)."""

    night: Night
    champion: ChampionPin | None

    def interactions(self) -> pd.DataFrame:
        """All accepted interactions of the live batch: user_id, item_id, occurred_at (UTC), weight, kind.

        Ids and kinds are pandas categories of strings: twenty million rows take half a gigabyte.
        """
        rows = self.night.interactions()
        return pd.DataFrame(
            {
                "user_id": pd.Categorical.from_codes(rows.user_idx, pd.Index(self.night.ids("users"), dtype=str)),
                "item_id": pd.Categorical.from_codes(rows.item_idx, pd.Index(self.night.ids("items"), dtype=str)),
                "occurred_at": pd.to_datetime(rows.occurred_at, unit="us", utc=True),
                "weight": rows.weight,
                "kind": pd.Categorical.from_codes(rows.kind, pd.Index(rows.kinds, dtype=str)),
            },
            copy=False,
        )

    @cached_property
    def _factors(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        if self.champion is None:
            raise Misuse(f"catalog {self.night.catalog.name}: no model is in charge, the lists are the popular ones")
        pinned = self.night.request.model_copy(update={"champion": self.champion})
        model = replace(self.night, request=pinned).champion_model()
        factors = model.factors
        return (
            pd.DataFrame(factors.user_factors, pd.Index(model.user_ids, name="user_id")),
            pd.DataFrame(factors.item_factors, pd.Index(model.item_ids, name="item_id")),
        )

    def factors(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(user_factors, item_factors) of the champion, float32, one row an id; rows of zeros are unknown.

        Raises ModelRefused unless the file is the one that was registered, Misuse when no model is in charge.
        """
        return self._factors


def live(name: str) -> Live:
    """What the catalog of this name serves now. Raises Misuse when nothing was published yet."""
    settings, catalog = load_settings(), load_catalog(name)
    with database(settings, catalog, "publisher").connect() as session:
        batch, champion = session.row("live_batch"), session.row("champion")
    if batch is None:
        raise Misuse(f"catalog {name}: nothing was published yet; `recjobs night --catalog {name}` does it")
    return Live(Night.open(catalog, batch["batch_id"]), ChampionPin(**champion) if champion else None)

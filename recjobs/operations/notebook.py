"""Load the live batch's interactions and the champion's factors, by id, for a notebook."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from recjobs.errors import Misuse
from recjobs.night.catalogs import known_catalog
from recjobs.night.night import Night, database
from recjobs.night.request import ChampionPin


@dataclass(frozen=True)
class Live:
    """The live batch of a catalog: its night, and the champion (None: popular lists only)."""

    night: Night
    champion: ChampionPin | None

    def interactions(self) -> pd.DataFrame:
        """All accepted interactions of the live batch: user_id, item_id, occurred_at (UTC; NaT for none), weight, kind.

        Ids and kinds are pandas categories of strings: twenty million rows take half a gigabyte.
        """
        rows = self.night.interactions()
        at = pd.to_datetime(rows.occurred_at, unit="us", utc=True)
        return pd.DataFrame(
            {
                "user_id": pd.Categorical.from_codes(rows.user_idx, pd.Index(self.night.ids("users"), dtype=str)),
                "item_id": pd.Categorical.from_codes(rows.item_idx, pd.Index(self.night.ids("items"), dtype=str)),
                "occurred_at": at if self.night.catalog.has_times else at.where(np.zeros(len(at), bool)),
                "weight": rows.weight,
                "kind": pd.Categorical.from_codes(rows.kind, pd.Index(rows.kinds, dtype=str)),
            },
            copy=False,
        )

    def factors(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(user_factors, item_factors) of the champion, float32, a row per id; unknown ids have rows of zeros.

        Raises ModelRefused unless the file is the registered one, Misuse without a champion.
        """
        if self.champion is None:
            raise Misuse(f"catalog {self.night.catalog.name}: no model is in charge, the lists are the popular ones")
        pinned = self.night.request.model_copy(update={"champion": self.champion})
        model = replace(self.night, request=pinned).champion_model()
        factors = model.factors
        return (
            pd.DataFrame(factors.user_factors, pd.Index(model.user_ids, name="user_id")),
            pd.DataFrame(factors.item_factors, pd.Index(model.item_ids, name="item_id")),
        )


def live(name: str) -> Live:
    """Return the live batch of a catalog. Raises Misuse if nothing is published."""
    catalog = known_catalog(name)
    with database(catalog, "publisher").connect() as session:
        batch, champion = session.row("live_batch"), session.row("champion")
    if batch is None:
        raise Misuse(f"catalog {name}: nothing was published yet; `recjobs night --catalog {name}` does it")
    return Live(Night.open(catalog, batch["batch_id"]), ChampionPin(**champion) if champion else None)

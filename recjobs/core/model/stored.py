"""A model as named arrays, for a .npz that is read without pickle."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recjobs.core.model.als import Factors
from recjobs.core.model.ranker import Ranker
from recjobs.errors import ModelUnreadable


@dataclass(frozen=True)
class StoredModel:
    """Factors and the ids of their rows. ranker: of the second stage; None: the recipe has none, or the catalog was
    too small for it."""

    factors: Factors
    user_ids: list[str]
    item_ids: list[str]
    ranker: Ranker | None = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Factors as float32, ids as UTF-8 bytes with offsets, a ranker as its text's bytes."""
        return {
            "user_factors": self.factors.user_factors,
            "item_factors": self.factors.item_factors,
            **_packed("user", self.user_ids),
            **_packed("item", self.item_ids),
            **ranker_arrays(self.ranker),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "StoredModel":
        """The inverse of `to_arrays`. Raises ModelUnreadable when the arrays do not fit together."""
        try:
            factors = Factors(arrays["user_factors"], arrays["item_factors"])
            user_ids, item_ids = _unpacked("user", arrays), _unpacked("item", arrays)
            ranker = ranker_of(arrays)
        except (KeyError, ValueError, TypeError) as error:
            raise ModelUnreadable(f"the model file lacks or garbles an array: {error}") from None
        for rows, ids in ((factors.user_factors, user_ids), (factors.item_factors, item_ids)):
            if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) != len(ids):
                raise ModelUnreadable(f"the model file has factors of {rows.dtype} {rows.shape} for {len(ids)} ids")
        if factors.user_factors.shape[1] != factors.item_factors.shape[1]:
            raise ModelUnreadable(
                f"the model file has user factors {factors.user_factors.shape} beside item factors "
                f"{factors.item_factors.shape}"
            )
        return cls(factors, user_ids, item_ids, ranker)


def ranker_arrays(ranker: Ranker | None) -> dict[str, np.ndarray]:
    """A ranker as an array; nothing for none."""
    return {} if ranker is None else {"ranker": np.frombuffer(ranker.text.encode(), np.uint8)}


def ranker_of(arrays: dict[str, np.ndarray]) -> Ranker | None:
    """The inverse of `ranker_arrays`. Its text is read by LightGBM once it is used. Raises ValueError for no text."""
    return Ranker(arrays["ranker"].tobytes().decode()) if "ranker" in arrays else None


def _packed(name: str, ids: list[str]) -> dict[str, np.ndarray]:
    encoded = [identifier.encode() for identifier in ids]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    return {f"{name}_ids": np.frombuffer(b"".join(encoded), np.uint8), f"{name}_offsets": offsets}


def _unpacked(name: str, arrays: dict[str, np.ndarray]) -> list[str]:
    blob, offsets = arrays[f"{name}_ids"].tobytes(), arrays[f"{name}_offsets"].tolist()
    return [blob[first:last].decode() for first, last in pairwise(offsets)]

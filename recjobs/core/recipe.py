"""The recipe: everything that determines a model, besides interactions and seed."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one ALS model, named as implicit names them, and how interactions become confidence.

    factors: length of a user's and an item's vector.
    alpha: confidence of an interaction of weight 1 (Hu, Koren & Volinsky 2008).
    regularization: the constant lambda of the squared norms.
    iterations: the most alternations a fit may take; it ends before, once its lists no longer change.
    frequency_scaling: nu in regularization x (weight of the row's terms / their mean) ^ nu; 0: the same for every row,
        1: in proportion (Rendle et al., RecSys 2022).
    half_life_days: an interaction this old counts half; None: age does not matter.
    weight_scale: "linear" takes a weight as it is, "log" as log2(1 + weight), "one" ignores it.
    weight_cap: the most that one user's interactions with one item can add up to; None: no cap.
    kinds: weight of each kind of interaction; empty: kinds do not matter.
    blend: share of item neighbours in the score, 0 (ALS alone) to 1 (neighbours alone).
    neighbours: how many similar items of each item the blend knows.
    random_walk: share of random walks (RP3beta) in the neighbours' part, 0 (TF-IDF alone) to 1 (walks alone).
    own_frequency: share of the user's own items, by decayed frequency, in the score, 0 to below 1.
    own_half_life_days: there an interaction this old counts half.
    rerank: whether a second stage, trained on past windows, orders the candidates at the head of each list.
    """

    factors: int = 64
    alpha: float = 20.0
    regularization: float = 20.0
    iterations: int = 15
    half_life_days: float | None = None
    weight_scale: str = "one"
    weight_cap: float | None = None
    kinds: tuple[tuple[str, float], ...] = ()
    frequency_scaling: float = 0.0
    blend: float = 0.0
    neighbours: int = 200
    own_frequency: float = 0.0
    own_half_life_days: float = 90.0
    rerank: bool = False
    random_walk: float = 0.0

    def one_line(self) -> str:
        """The recipe in one line, without empty values."""
        return "  ".join(f"{key}={value}" for key, value in self.to_json().items() if value not in (None, {}))

    def differences(self, other: "Recipe") -> str:
        """The differences from another recipe, as in `alpha=20, not 10`; "" without any."""
        mine, theirs = self.to_json(), other.to_json()
        return "; ".join(f"{key}={mine[key]}, not {theirs[key]}" for key in mine if mine[key] != theirs[key])

    def to_json(self) -> dict[str, object]:
        """The recipe as plain JSON, kinds as an object."""
        return {**asdict(self), "kinds": dict(self.kinds)}

    @classmethod
    def from_json(cls, stored: dict[str, object]) -> "Recipe":
        """The recipe that `to_json` wrote; fields it did not know yet take their default."""
        known = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        kinds = known.get("kinds") or {}
        return cls(**{**known, "kinds": tuple(sorted(dict(kinds).items()))})  # type: ignore[arg-type, call-overload]

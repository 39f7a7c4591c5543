"""RP3beta: items that a random walk reaches from an item by its users, mixed into item neighbours.

Paudel, Christoffel, Newell & Bernstein, "Updatable, accurate, diverse, and scalable recommendations for interactive
applications", ACM TiiS 2017.
"""

import numpy as np
from scipy.sparse import csr_matrix, diags

from recjobs.core.model.neighbours import all_pairs, drawn_users, similarity_of
from recjobs.core.model.user_items import UserItems

BETA = 0.6
"""How strongly an item's popularity lowers the probability of reaching it."""
SAMPLE = 500
"""Users, at equal distances, by whose scores the two kinds of similarity are brought to one scale."""


class ItemSimilarity:
    """The similarity of items that blends of one set of interactions use; each part is computed once.

    user_items: (n_users, n_items), confidence.
    """

    def __init__(self, user_items: UserItems, threads: int = 0) -> None:
        self._user_items, self._threads = user_items, threads
        self._parts: dict[tuple[bool, int], csr_matrix] = {}
        self._ratios: dict[int, float] = {}

    def of(self, n_neighbours: int, random_walk: float) -> csr_matrix:
        """(n_items, n_items): TF-IDF neighbours, of which random walks take the share `random_walk`, 0 to 1.

        Both are scaled to the same standard deviation of a user's scores, the geometric mean over SAMPLE users, so that
        a share says how much of the scores comes from each. With a share of 0 the result is `similarity_of`.
        """
        if random_walk in (0, 1):
            return self._part(random_walk == 1, n_neighbours)
        neighbours, walk = (self._part(is_walk, n_neighbours) for is_walk in (False, True))
        result: csr_matrix = (neighbours + np.float32(self.walk_scale(n_neighbours, random_walk)) * walk).tocsr()
        return result

    def walk_scale(self, n_neighbours: int, random_walk: float) -> float:
        """What random walks are multiplied by where they join TF-IDF neighbours, for a share of 0 to below 1."""
        if n_neighbours not in self._ratios:
            neighbours, walk = (self._part(is_walk, n_neighbours) for is_walk in (False, True))
            self._ratios[n_neighbours] = _ratio_of_spreads(neighbours, walk, self._user_items)
        return random_walk / (1 - random_walk) * self._ratios[n_neighbours]

    def forget_others(self, n_neighbours: int) -> None:
        """Forget the parts with another number of neighbours."""
        self._parts = {key: part for key, part in self._parts.items() if key[1] == n_neighbours}

    def _part(self, is_walk: bool, n_neighbours: int) -> csr_matrix:
        key = (is_walk, n_neighbours)
        if key not in self._parts:
            make = random_walk_of if is_walk else similarity_of
            self._parts[key] = make(self._user_items, n_neighbours, self._threads)
        return self._parts[key]


def random_walk_of(user_items: UserItems, n_neighbours: int, threads: int = 0) -> csr_matrix:
    """(n_items, n_items) float32: the probability of a walk from each item (row) by one of its users to another item
    (column), divided by that item's popularity to the power BETA; the n_neighbours highest of each row.

    Users are drawn as for `similarity_of`.
    """
    drawn = drawn_users(user_items).astype(np.float64)
    popularity, activity = (np.asarray(drawn.sum(axis=axis)).ravel() for axis in (0, 1))
    damped, spread = _power(popularity, -BETA), _power(activity, -0.5)
    # X' X of this product is the walk's matrix but for a factor of each row, which does not change its order.
    steps = all_pairs((diags(spread) @ drawn @ diags(damped)).tocsr(), n_neighbours, threads)
    walk: csr_matrix = (diags(_power(popularity, BETA - 1)) @ steps).astype(np.float32).tocsr()
    return walk


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    """The powers of positive values; 0 for others."""
    return np.asarray(np.power(values, exponent, out=np.zeros_like(values), where=values > 0))


def _ratio_of_spreads(first: csr_matrix, second: csr_matrix, user_items: UserItems) -> float:
    """How many times the scores by `first` spread as those by `second`, in three digits, so that another processor's
    last bits do not matter; 0 where nobody's scores differ by both."""
    users = np.flatnonzero(np.diff(user_items.indptr) > 0)
    rows = user_items[users[:: -(-users.size // SAMPLE) or 1]]
    spreads = np.array([_spread(rows @ similarity) for similarity in (first, second)])
    spreads = spreads[:, (spreads > 0).all(axis=0)]
    return float(f"{np.exp(np.log(spreads[0] / spreads[1]).mean()):.3g}") if spreads.size else 0.0


def _spread(scores: csr_matrix) -> np.ndarray:
    """The standard deviation of each row."""
    values, n = scores.astype(np.float64), scores.shape[1]
    mean, square = (np.asarray(power.sum(axis=1)).ravel() / n for power in (values, values.multiply(values)))
    return np.sqrt(np.maximum(square - mean**2, 0))

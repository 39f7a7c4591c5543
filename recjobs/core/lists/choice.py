"""The list that each group of users is served: the model's, or a simple one that did better in the evaluation."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from recjobs.core.lists.popularity import DEFAULT_WINDOW, WINDOWS

UNKNOWN = "unknown"
GROUPS = (UNKNOWN, "light", "medium", "heavy")
"""Users by how many interactions they have: none, and thirds of the others."""
OWN_FREQUENCY = "own_frequency"
"""The list of a user's own items by decayed frequency, in `instead` and among the baselines."""
NEIGHBOURS = "neighbours"
"""The list by item neighbours alone, among the baselines, and in `instead` where no model is in charge."""
NO_MODEL = "none"
"""Whose choice is followed where no model is in charge."""


@dataclass(frozen=True)
class ListChoice:
    """The evaluation's choice, as stored in a verdict.

    popular: the window (of `popularity.WINDOWS`) of the list that users unknown to the model get, and that short lists
    are filled from. light, medium: the most interactions of a user in the group; heavy users have more. instead:
    group -> window, OWN_FREQUENCY or NEIGHBOURS, for the groups that are served that list in place of the model's.
    min_scores: the least score of an item that is listed, as `Lists.confident` takes it.
    """

    popular: str = DEFAULT_WINDOW
    light: float = 0.0
    medium: float = 0.0
    instead: dict[str, str] = field(default_factory=dict)
    min_scores: dict[str, float] | None = None

    @classmethod
    def from_activity(cls, activity: np.ndarray, popular: str = DEFAULT_WINDOW) -> "ListChoice":
        """Thirds of the users who have an interaction, ties to the lighter; activity: (n_users,) interactions."""
        active = activity[activity > 0]
        light, medium = np.quantile(active, [1 / 3, 2 / 3]).tolist() if active.size else (0.0, 0.0)
        return cls(popular, light, medium)

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None) -> "ListChoice":
        """The choice in a verdict; the default for a verdict without one, or with a window that is no longer known."""
        if stored is None or stored["popular"] not in WINDOWS:
            return cls()
        if not set(stored["instead"].values()) <= {*WINDOWS, OWN_FREQUENCY, NEIGHBOURS}:
            return cls()
        return cls(**stored)

    def to_json(self) -> dict[str, Any]:
        """The choice as a verdict keeps it; without `min_scores` unless they are set: older releases do not know it."""
        return {name: value for name, value in asdict(self).items() if name != "min_scores" or value is not None}

    def groups(self, activity: np.ndarray) -> dict[str, np.ndarray]:
        """Masks over users, by group; each user is in exactly one."""
        light = (activity > 0) & (activity <= self.light)
        medium = (activity > self.light) & (activity <= self.medium)
        return dict(zip(GROUPS, (activity == 0, light, medium, ~((activity == 0) | light | medium)), strict=True))

    def replaced(self, activity: np.ndarray) -> np.ndarray:
        """Whether each user is served another list in place of the model's."""
        masks = self.groups(activity)
        return np.asarray(sum((masks[group] for group in self.instead), np.zeros(activity.size, bool)))

    def by_own_frequency(self, activity: np.ndarray) -> np.ndarray:
        """Whether each user is served their own items by decayed frequency."""
        masks = self.groups(activity)
        groups = [group for group, name in self.instead.items() if name == OWN_FREQUENCY]
        return np.asarray(sum((masks[group] for group in groups), np.zeros(activity.size, bool)))

    def windows(self, activity: np.ndarray) -> dict[str, np.ndarray]:
        """window -> mask of the users whose lists are filled from it."""
        masks = self.groups(activity)
        result = {self.popular: ~self.replaced(activity)}
        for group, name in self.instead.items():
            window = name if name in WINDOWS else self.popular
            result[window] = result.get(window, np.zeros(activity.size, bool)) | masks[group]
        return result

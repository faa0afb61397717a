"""What the page of a segmentation analysis is made from, and what its numbers are looked up by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
Rows = Sequence[Facts]

NETWORK, THRESHOLD = "network", "threshold"
OUT_OF_FOLD, EXTERNAL = "out_of_fold", "external"
ROLES = {EXTERNAL: "held\u00a0out", OUT_OF_FOLD: "out\u00a0of\u00a0fold"}  # as a page says, in its order
LEAST_PATIENTS = 10  # with a lesion; below, no number of them is a headline
LEVEL = 0.95
BASELINE = "HU rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a page is made from.

    scores : scores.json of each compared network. cases, lesions : rows of their tables. networks : network.json of all
    trained networks, with the number of their `parameters`. drawn : masks.json of each compared network, its patients
    with what their own manifests say (`facts`). recipe : as used.
    """

    analysis: Facts
    recipe: Facts
    scores: Rows
    cases: Rows
    lesions: Rows
    networks: Rows
    drawn: Rows
    flow: Facts

    @property
    def lesion(self) -> str:
        """The ROI that is looked for."""
        return str(self.recipe["segmentation"]["lesion"])

    @property
    def bone(self) -> str | None:
        """The ROI of bone, where the networks learned it."""
        return self.recipe["segmentation"]["bone"]

    @property
    def names(self) -> list[str]:
        """Compared networks, in the order of the recipe."""
        return [str(score["network"]) for score in self.scores]

    def score(self, network: str, role: str, *, procedure: str = NETWORK, roi: str | None = None) -> Facts | None:
        """Numbers of one network in one role; None where nobody was drawn so.

        The rule on HU looks for lesions inside drawn bone: without bone it has no numbers.
        """
        wanted = (procedure, role, roi or self.lesion)
        if procedure == THRESHOLD and self.bone is None:
            return None
        own = next(score for score in self.scores if score["network"] == network)
        return next((g for g in own["scores"] if (g["procedure"], g["role"], g["roi"]) == wanted), None)

    def patients_with_lesion(self, network: str, role: str) -> int:
        """How many patients of a role have a lesion to be found."""
        wanted = (network, NETWORK, role, self.lesion)
        keys = ("network", "procedure", "role", "roi")
        own = [row for row in self.cases if tuple(row[key] for key in keys) == wanted]
        return len({row["patient"] for row in own if row["correct_negative"] is None})

    def best(self) -> str:
        """The network with the best mean Dice out of fold; the first of equals. Held-out patients have no say."""

        def dice(name: str) -> float:
            found = self.score(name, OUT_OF_FOLD)
            value = found["dice"]["estimate"] if found else None
            return -1.0 if value is None else float(value)

        return max(self.names, key=dice)

    def leading_role(self, network: str) -> str | None:
        """The role whose numbers are the answer: held out, else out of fold; None where both have too few patients."""
        for role in (EXTERNAL, OUT_OF_FOLD):
            if self.patients_with_lesion(network, role) >= LEAST_PATIENTS:
                return role
        return None

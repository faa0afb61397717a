"""Counting: what enters a stage, what goes on, what is set aside and why (contract 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from osteorad import reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that leaves the flow: whose it is, its name, the reason code, and numbers that may be shown."""

    patient: str
    item: str
    code: str
    session: str = ""
    detail: str = ""


@dataclass(slots=True)
class Flow:
    """Stages in order; every stage checks that in = out + set aside, each counted from its own list."""

    stages: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def add(self, stage: str, title: str, unit: str, *, entering: int, leaving: int, losses: Sequence[Loss]) -> None:
        """Add a stage; ValueError where something is lost without a reason."""
        if entering != leaving + len(losses):
            raise ValueError(f"stage {stage}: {entering} in, {leaving} out, {len(losses)} set aside")
        codes = sorted({loss.code for loss in losses})
        self.losses.extend(losses)
        self.stages.append(
            {
                "stage": stage,
                "title": title,
                "unit": unit,
                "in": entering,
                "out": leaving,
                "set_aside": [_group(code, [loss for loss in losses if loss.code == code]) for code in codes],
            }
        )


def _group(code: str, losses: Sequence[Loss]) -> dict[str, Any]:
    reason = reasons.reason(code)
    return {
        "kind": reason.kind,
        "reason": code,
        "sentence": reason.sentence,
        "count": len(losses),
        "items": sorted({loss.patient for loss in losses}),
    }


def set_aside_rows(losses: Sequence[Loss], cohort: str) -> list[Mapping[str, Any]]:
    """Rows of schemas.QUARANTINE for an analysis' losses."""
    return [
        {
            "cohort": cohort,
            "patient": loss.patient,
            "session": loss.session,
            "stage": "samples",
            "item": loss.item,
            "count": 1,
            "kind": reasons.reason(loss.code).kind,
            "reason": loss.code,
            "detail": loss.detail,
        }
        for loss in losses
    ]

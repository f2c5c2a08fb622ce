"""What a decision will do, worked out before anything is done, and how far it is: both as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from services.decisions.model import Kind
from services.tracking.registry import Lineage


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the steps need, fixed when the decision is taken: a restart needs to ask nobody what was meant.

    Attributes:
        a, b: names of champion and challenger.
        winner, loser: two of these; empty when the test ends without a winner.
        before, first, last: the deployment as it was, and what it becomes, as texts of manifests; `first` is empty if
            it stays, `last` if `first` is the end. See services.decisions.target.
        version: of the deployment that was read: a change by somebody else in between is refused.
        arm: the arm that serves the winner in the end.
        models: MLflow's knowledge of the model of each arm.
        name: the registered model whose champion this is about; empty if MLflow has none of the models.
        former: the version that the alias named before.
        verdict, summary: see Decision.
        overridden: see Decision.
        gaps: what could not be written to MLflow, as far as it was known beforehand.
        evidence: the assessment as data.
        engine, engine_words: which engine it is carried out on; empty in decisions older than this note.
        managed_by: the other tool that the deployment is taken over from; empty where it is Decant's own.
    """

    kind: Kind
    test: int
    a: str
    b: str
    winner: str
    loser: str
    before: str
    first: str
    last: str
    version: str
    arm: str
    models: Mapping[str, Lineage]
    name: str
    former: str | None
    verdict: str
    summary: str
    overridden: tuple[str, ...]
    gaps: tuple[str, ...]
    evidence: Mapping[str, Any]
    engine: str = ""
    engine_words: str = ""
    managed_by: str = ""

    @property
    def runs(self) -> dict[str, str]:
        """The run of each arm's model, where there is one; the winner last, so that its tags stand in a shared run."""
        arms = (self.loser, self.winner) if self.winner else (self.b, self.a)
        return {arm: run for arm in arms if (run := self.models[arm].run_id)}

    @property
    def home(self) -> str:
        """The arm whose run gets the artifacts: the winner's, or the champion's when nobody won."""
        return self.winner or self.a

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        known = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        models = {
            arm: Lineage(**{**model, "versions": tuple((name, version) for name, version in model["versions"])})
            for arm, model in stored["models"].items()
        }
        texts = {name: tuple(stored[name]) for name in ("overridden", "gaps")}
        return cls(**{**known, **texts, "kind": Kind(stored["kind"]), "models": models})


@dataclass(slots=True)
class Progress:
    """How far a decision is. Each step is noted as begun before it does anything and as done after.

    Attributes:
        version: the winner's registered version, once it is known.
        gaps: what turned out not to be possible on the way.
        waiting: what the next step waits for.
        undo_who, undo_why: who asked to take it back; `refused` if it was not a person but a part that refused a step.
        undo_over: whether they said that they take the deployment over from another tool for that.
        resume: the state to return to when taking back turns out to be impossible.
    """

    begun: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    version: str = ""
    gaps: list[str] = field(default_factory=list)
    waiting: str = ""
    undo_who: str = ""
    undo_why: str = ""
    undo_over: bool = False
    refused: bool = False
    resume: str = ""

    def missed(self, words: str) -> None:
        """Note a gap, once."""
        if words not in self.gaps:
            self.gaps.append(words)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**{f.name: stored[f.name] for f in fields(cls) if f.name in stored})

"""What became of a file of late truths, as it is counted up."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.evidence.late import Attached, Fate
from services.truths.counting import aside_sentence
from services.truths.files import BadLine

NAMED = 10
"""Unknown puids, contradictions and bad lines that are named; the rest is counted."""


@dataclass
class Report:
    """What became of the lines of a file so far.

    Attributes:
        lines: read, without the header and empty ones.
        attached: predictions that got a truth or reward.
        replaced: predictions whose truth or reward is another now.
        kept: that had the same already.
        contradicts: that have another, which stays; `contradictions` are the first few, with what is stored.
        unknown: puids that no prediction has; `unknown_puids` are the first few.
        unanswered: puids of requests that failed.
        bad: lines that cannot be used; `bad_lines` are the first few, by line.
        fed: rewards that have reached their arm's counter.
        unfed: rewards that should have and have not; `feedback_error` is the last error.
        unpriced: truths attached without a reward: no replay sent their rows, and no formula was given.
        aside: by reason, how many rewards stay in the ledger alone because they say nothing of what serves now.
    """

    lines: int = 0
    attached: int = 0
    replaced: int = 0
    kept: int = 0
    contradicts: int = 0
    unknown: int = 0
    unanswered: int = 0
    bad: int = 0
    fed: int = 0
    unfed: int = 0
    unpriced: int = 0
    feedback_error: str = ""
    dry_run: bool = False
    unknown_puids: list[str] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    contradictions: list[BadLine] = field(default_factory=list)
    aside: dict[str, int] = field(default_factory=dict)

    @property
    def useless(self) -> bool:
        """Whether there were lines and not one was of use: none that the ledger holds now, or held before."""
        return 0 < self.lines == self.bad + self.unknown + self.unanswered + self.contradicts

    @property
    def aside_sentences(self) -> list[str]:
        """How many rewards stay in the ledger alone and why, most first."""
        return [aside_sentence(*item) for item in sorted(self.aside.items(), key=lambda item: (-item[1], item[0]))]

    @property
    def unpriced_words(self) -> str:
        """How many truths earn nothing, and why, without a full stop; "" if there are none."""
        if not self.unpriced:
            return ""
        those, verb = ("1 truth", "has") if self.unpriced == 1 else (f"{self.unpriced:,} truths", "have")
        row = "its row" if self.unpriced == 1 else "their rows"
        verb = "would have" if self.dry_run else verb
        return f"{those} {verb} no reward, because no replay sent {row} and none was named"

    def add_aside(self, words: Iterable[str]) -> None:
        for one in words:
            self.aside[one] = self.aside.get(one, 0) + 1

    def add_bad(self, bad: BadLine) -> None:
        self.bad += 1
        # Those that cannot be read come before those that earn nothing, a chunk at a time.
        insort(self.bad_lines, bad, key=lambda one: one.line)
        del self.bad_lines[NAMED:]

    def add_unknown(self, puid: str) -> None:
        self.unknown += 1
        if len(self.unknown_puids) < NAMED:
            self.unknown_puids.append(puid)

    def add(self, one: Attached) -> None:
        self.add_aside(one.aside)
        if one.fate is Fate.UNKNOWN:
            self.add_unknown(one.late.puid)
        elif one.fate is Fate.BAD:
            self.add_bad(BadLine(one.late.line, one.words))
        else:
            if one.fate is Fate.CONTRADICTS and len(self.contradictions) < NAMED:
                self.contradictions.append(BadLine(one.late.line, one.words))
            self.unpriced += one.unpriced
            setattr(self, one.fate.value, getattr(self, one.fate.value) + 1)

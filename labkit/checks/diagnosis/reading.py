"""What the code of an answer adds to what its results tell, or tells better."""

import re
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from labkit.checks.diagnosis.code.advice import IN_PART
from labkit.checks.diagnosis.code.answer import never_read, remarks
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.repair import Again, again, happening, repair
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.diagnosis.finding import Finding

# What comes in is found in results by chance sooner than a change that mends every call.
BESIDE_AN_ARGUMENT = re.compile(r"result: (\w+ )?(plus|minus|times|over) [^,]*$")
LEFT_OUT = re.compile(r"argument: (\w+) left out, ")


@dataclass(frozen=True)
class Reading:
    """The code of an answer, where it is at hand, and what it adds to what the results tell."""

    answer: Callable[..., Any] | None
    evidence: Evidence
    wrong: list[int]

    def besides(self, causes: tuple[Finding, ...], complete: bool) -> tuple[Finding, ...]:
        """Return the causes with what the code tells, or what it tells better.

        `complete` says whether they are all there is, or of several results explain some.
        """
        if self.answer is None:
            return causes
        seen = happening(self._again) if self._again else None
        if seen is not None and seen.mends:
            known = tuple(cause for cause in causes if cause.misconception and complete)
            return (*known, _remarked(seen))
        if causes and not complete:
            mended = self._mended()
            if mended is not None and not mended.key.endswith(IN_PART):
                return (*(cause for cause in causes if cause.misconception), mended)
        if causes and all(map(self._may_be_told_better, causes)):
            mended = self._mended(all_or_none=True)
            if mended is not None:
                return (mended,)
        # Sure signs are always said, questions beside a cause or where nothing is known.
        found = [*filter(None, [seen]), *remarks(self.answer, self.evidence, self.wrong)]
        chosen = [remark for remark in found if remark.sure or (causes and not remark.cause)]
        if not causes and not chosen:
            mended = self._mended()
            causes = (mended,) if mended else ()
            in_part = mended is None or mended.key.endswith(IN_PART)
            chosen = [remark for remark in found if in_part and (not mended or not remark.cause)]
        return (*map(self._as_it_is_read, causes), *map(_remarked, chosen[:1]))

    def _as_it_is_read(self, finding: Finding) -> Finding:
        """Return what is said of an argument that the code does read, and that changes nothing."""
        if not self._may_be_told_better(finding) or not LEFT_OUT.match(finding.key):
            return finding
        name = f"`{finding.key.split()[1]}`"
        claim = f"Your code leaves {name} out of account: the results"
        text = finding.text.replace(claim, "The results")
        lost = f"Your code reads {name}, and what it makes of it gets lost: print it step by step."
        return replace(finding, text=f"{text} {lost}")

    def _may_be_told_better(self, finding: Finding) -> bool:
        """Whether a change that mends every call tells more.

        What an argument gives may get lost in code that reads it, in a quotient that is always 0.
        """
        left_out = LEFT_OUT.match(finding.key)
        if left_out is not None and isinstance(self.answer, types.FunctionType):
            return left_out[1] not in never_read(self.answer)
        return bool(BESIDE_AN_ARGUMENT.match(finding.key))

    @cached_property
    def _again(self) -> Again | None:
        return again(self.answer, self.evidence, self.wrong) if self.answer else None

    def _mended(self, all_or_none: bool = False) -> Finding | None:
        mended = repair(self._again, all_or_none) if self._again else None
        return _remarked(mended) if mended else None


def _remarked(remark: Remark) -> Finding:
    return Finding(remark.key, remark.text, remark.cause)

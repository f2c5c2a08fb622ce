"""What a model's container asks of its node and may use at most: Kubernetes quantities, checked in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(m|k|Ki|[MGTPE]i?)?")
_UNITS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000), "Ki": Decimal(1024)} | {
    f"{letter}{binary}": Decimal(base) ** power
    for power, letter in enumerate("MGTPE", start=2)
    for binary, base in (("", 1000), ("i", 1024))
}


def quantity(text: str) -> Decimal | None:
    """The number that a Kubernetes quantity stands for (`500m` is 0.5, `2Gi` is 2147483648), or None if it is none."""
    found = _QUANTITY.fullmatch(text)
    return Decimal(found[1]) * _UNITS[found[2] or ""] if found else None


@dataclass(frozen=True, slots=True)
class Resources:
    """Processor and memory of one container, as Kubernetes writes them: `500m`, `2`, `1Gi`. "" is unset."""

    cpu_request: str = ""
    memory_request: str = ""
    cpu_limit: str = ""
    memory_limit: str = ""

    def problems(self, of: str) -> list[str]:
        """Every reason for which Kubernetes would refuse these of predictor `of`, in words."""
        found = []
        for what, example in (("cpu", "500m or 2"), ("memory", "512Mi or 2Gi")):
            given: dict[str, Decimal] = {}
            for kind in ("request", "limit"):
                if text := getattr(self, f"{what}_{kind}"):
                    number = quantity(text)
                    if number is None or number == 0:
                        found.append(f"the {what} {kind} of {of} is “{text}”, not a quantity such as {example}")
                    else:
                        given[kind] = number
            if len(given) == 2 and given["request"] > given["limit"]:
                asked, most = getattr(self, f"{what}_request"), getattr(self, f"{what}_limit")
                found.append(f"the {what} request of {of} ({asked}) is more than its limit ({most})")
        return found

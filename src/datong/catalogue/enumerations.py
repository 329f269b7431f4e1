"""Reads the codes that people write into comments: `1男2女`, `性别（1:男 2:女）`, `0-否,1-是`; pure."""

import re

from datong.kernel import Value
from datong.norms import CodeList, NormPack

PAIRS_MIN = 2
OVERLAP_MIN = 0.6
_PAIR = re.compile(
    r"(?<![0-9A-Za-z])['\"“]?(?P<code>[0-9]{1,3}|[A-Z]{1,2})['\"”]?\s*[-—=:：.、,，]?\s*"
    r"(?P<label>[\u3400-\u9fff][\u3400-\u9fffA-Za-z]{0,15})"
)
_REVERSED = re.compile(r"(?P<label>[\u3400-\u9fff]{1,15})\s*[-—=:：]\s*(?P<code>[0-9]{1,3})(?![0-9])")


class CodePair(Value):
    """A code and what it means, as a comment says it."""

    code: str
    label: str


def enumerated(comment: str) -> tuple[CodePair, ...]:
    """Return the codes that a comment lists, in their order; none when it lists fewer than two different ones."""
    for pattern in (_PAIR, _REVERSED):
        pairs: dict[str, CodePair] = {}
        for match in pattern.finditer(comment):
            pairs.setdefault(match["code"], CodePair(code=match["code"], label=match["label"]))
        if len(pairs) >= PAIRS_MIN:
            return tuple(pairs.values())
    return ()


def fitting_code_lists(pairs: tuple[CodePair, ...], pack: NormPack) -> dict[str, float]:
    """Return the code lists whose meanings the pairs name, with the ratio of pairs that do."""
    if not pairs:
        return {}
    ratios = {codes.key: _ratio(pairs, codes) for codes in pack.code_lists}
    return {key: ratio for key, ratio in ratios.items() if ratio >= OVERLAP_MIN}


def _ratio(pairs: tuple[CodePair, ...], codes: CodeList) -> float:
    meanings = {name for code in codes.codes for name in (code.name.zh, *code.aliases)}
    return sum(pair.label in meanings for pair in pairs) / len(pairs)

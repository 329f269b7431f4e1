"""Comparing what a caller claims with what is on record, without telling more than match, no match or unknown."""

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum

from datong.kernel import Text


class Match(StrEnum):
    """The answer to one claim."""

    MATCH = "match"
    NO_MATCH = "no_match"
    UNKNOWN = "unknown"

    @property
    def label(self) -> Text:
        """What the answer is called."""
        return _LABELS[self]


_LABELS = {
    Match.MATCH: Text(zh="一致", en="match"),
    Match.NO_MATCH: Text(zh="不一致", en="no match"),
    Match.UNKNOWN: Text(zh="无法核验", en="unknown"),
}


def comparable(value: str) -> str:
    """Return a value without differences that do not count: width, case, and white space."""
    return "".join(unicodedata.normalize("NFKC", value).casefold().split())


def compare(claimed: str, recorded: str | None) -> Match:
    """Return how a claim compares with what is on record; nothing on record is unknown."""
    if recorded is None or not comparable(recorded):
        return Match.UNKNOWN
    return Match.MATCH if comparable(claimed) == comparable(recorded) else Match.NO_MATCH


def best_answers(claims: Mapping[str, str], records: Iterable[Mapping[str, str | None]]) -> dict[str, Match]:
    """Return one answer per claim, all from the one record that fits best; no record at all answers unknown.

    Answers are never mixed from several records: that would confirm combinations which nobody has.
    """
    answers = [{name: compare(claimed, record.get(name)) for name, claimed in claims.items()} for record in records]
    unknown = dict.fromkeys(claims, Match.UNKNOWN)
    return max(answers, key=lambda found: list(found.values()).count(Match.MATCH), default=unknown)

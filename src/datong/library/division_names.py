"""The names of divisions that the norms know, for whoever reads addresses without a published register."""

from datong.norms import NormPack

DivisionNames = tuple[tuple[str, str, int], ...]
"""Code, name and level (1 province, 2 city, 3 county, 4 street) of each division."""


def known_divisions(pack: NormPack) -> DivisionNames:
    """Return the divisions of `pack` under their newest names, down to the county."""
    return tuple(
        (
            division.code,
            division.name,
            1 if division.code.endswith("0000") else 2 if division.code[4:] == "00" else 3,
        )
        for division in pack.division_register.all()
        if division.until is None
    )

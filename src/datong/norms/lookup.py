"""Finds data elements by what people call them; pure."""

from datong.norms.entries import DataElement
from datong.norms.pack import NormPack


def find_elements(pack: NormPack, text: str = "", *, domain: str = "") -> tuple[DataElement, ...]:
    """Return the elements whose code, name, alias or definition holds `text`, the closest first.

    An empty text finds every element; `domain` narrows to the elements of one theme.
    """
    wanted = text.strip().casefold()
    among = [element for element in pack.elements if not domain or element.domain == domain]
    if not wanted:
        return tuple(among)
    ranked = [(rank, place, element) for place, element in enumerate(among) if (rank := _rank(element, wanted)) < 4]
    return tuple(element for _, _, element in sorted(ranked, key=lambda found: found[:2]))


def _rank(element: DataElement, wanted: str) -> int:
    """0: called so; 1: a name begins so; 2: a name holds it; 3: the definition holds it; 4: not at all."""
    names = [name.casefold() for name in (element.code, element.name.zh, element.name.en, *element.aliases)]
    if wanted in names:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    if any(wanted in name for name in names):
        return 2
    words = f"{element.definition.zh} {element.definition.en}" if element.definition else ""
    return 3 if wanted in f"{words} {element.standard}".casefold() else 4

"""Facades that load on demand: a process imports only the modules whose names it uses.

A facade lists what its package offers. What drags in a heavy library (SQLAlchemy, DuckDB, …) is imported when it is
first asked for, so that a node's short commands do not wait for the hub's libraries. Type checkers and the import rules
see ordinary imports: the facade writes them under `TYPE_CHECKING` and gives the same names to `on_demand`.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def on_demand(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Return the module function `__getattr__` (PEP 562) of the facade `package`.

    `modules` maps a module's name inside the package to the names that the facade offers from it.
    """
    homes = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    return load

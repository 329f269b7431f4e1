"""Who holds what, under which norm, on which terms."""

from typing import TYPE_CHECKING

from datong.catalogue.values import (
    Binding,
    CatalogueCounts,
    Department,
    DepartmentKey,
    Facet,
    FacetValue,
    Fragment,
    Item,
    Party,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceDraft,
    ResourceState,
    ResourceStep,
    ResourceVersion,
    SearchFilters,
    SearchHit,
    SearchPage,
    UnmetDemand,
)
from datong.kernel import on_demand

if TYPE_CHECKING:
    from datong.catalogue.catalogue import Catalogue
    from datong.catalogue.completeness import content_problems
    from datong.catalogue.departments import Departments
    from datong.catalogue.lifecycle import TRANSITIONS, Standing, Transition, advance, possible_actions
    from datong.catalogue.mapping import Mapping, map_column
    from datong.catalogue.profile import (
        ColumnProfile,
        SourceColumn,
        SourceReference,
        SourceTable,
        TableProfile,
        profile_table,
    )
    from datong.catalogue.proposal import propose_resource
    from datong.catalogue.readings import toneless_syllables
    from datong.catalogue.search_tables import search_ddl, search_drop_ddl
else:
    __getattr__ = on_demand(
        __name__,
        {
            "catalogue": ["Catalogue"],
            "completeness": ["content_problems"],
            "departments": ["Departments"],
            "lifecycle": ["TRANSITIONS", "Standing", "Transition", "advance", "possible_actions"],
            "mapping": ["Mapping", "map_column"],
            "profile": [
                "ColumnProfile",
                "SourceColumn",
                "SourceReference",
                "SourceTable",
                "TableProfile",
                "profile_table",
            ],
            "proposal": ["propose_resource"],
            "readings": ["toneless_syllables"],
            "search_tables": ["search_ddl", "search_drop_ddl"],
        },
    )

__all__ = [
    "TRANSITIONS",
    "Binding",
    "Catalogue",
    "CatalogueCounts",
    "ColumnProfile",
    "Department",
    "DepartmentKey",
    "Departments",
    "Facet",
    "FacetValue",
    "Fragment",
    "Item",
    "Mapping",
    "Party",
    "Resource",
    "ResourceAction",
    "ResourceContent",
    "ResourceDraft",
    "ResourceState",
    "ResourceStep",
    "ResourceVersion",
    "SearchFilters",
    "SearchHit",
    "SearchPage",
    "SourceColumn",
    "SourceReference",
    "SourceTable",
    "Standing",
    "TableProfile",
    "Transition",
    "UnmetDemand",
    "advance",
    "content_problems",
    "map_column",
    "possible_actions",
    "profile_table",
    "propose_resource",
    "search_ddl",
    "search_drop_ddl",
    "toneless_syllables",
]

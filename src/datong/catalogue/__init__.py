"""Who holds what, under which norm, on which terms."""

from typing import TYPE_CHECKING

from datong.catalogue.values import (
    Assessment,
    AssessmentConclusion,
    Binding,
    CatalogueCounts,
    Contact,
    Department,
    DepartmentKey,
    Distribution,
    Facet,
    FacetValue,
    Fragment,
    Item,
    Origin,
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
    SignOff,
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
    from datong.catalogue.sketch_estimates import Estimate, OverlapEstimate, cardinality, overlap
    from datong.catalogue.sketches import (
        ColumnSketch,
        SketchKey,
        SketchKind,
        SketchRequest,
        folded,
        merged,
        sketch_columns,
        sketch_requests,
    )
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
            "sketch_estimates": ["Estimate", "OverlapEstimate", "cardinality", "overlap"],
            "sketches": [
                "ColumnSketch",
                "SketchKey",
                "SketchKind",
                "SketchRequest",
                "folded",
                "merged",
                "sketch_columns",
                "sketch_requests",
            ],
        },
    )

__all__ = [
    "TRANSITIONS",
    "Assessment",
    "AssessmentConclusion",
    "Binding",
    "Catalogue",
    "CatalogueCounts",
    "ColumnProfile",
    "ColumnSketch",
    "Contact",
    "Department",
    "DepartmentKey",
    "Departments",
    "Distribution",
    "Estimate",
    "Facet",
    "FacetValue",
    "Fragment",
    "Item",
    "Mapping",
    "Origin",
    "OverlapEstimate",
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
    "SignOff",
    "SketchKey",
    "SketchKind",
    "SketchRequest",
    "SourceColumn",
    "SourceReference",
    "SourceTable",
    "Standing",
    "TableProfile",
    "Transition",
    "UnmetDemand",
    "advance",
    "cardinality",
    "content_problems",
    "folded",
    "map_column",
    "merged",
    "overlap",
    "possible_actions",
    "profile_table",
    "propose_resource",
    "search_ddl",
    "search_drop_ddl",
    "sketch_columns",
    "sketch_requests",
    "toneless_syllables",
]

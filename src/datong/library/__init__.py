"""Unified resource library: cleanse, link, fuse and publish what the departments landed (统一资源库)."""

from datong.library.definition import Definition, load_definition, shipped_definitions
from datong.library.evaluation import LinkScore, evaluate_links
from datong.library.service import Library
from datong.library.values import (
    Build,
    BuildState,
    BuildStep,
    Cell,
    CellConflict,
    Dataset,
    DatasetColumn,
    EntityHit,
    EntityView,
    FixedLanding,
    GoldenRow,
    LandedBatch,
    LandedSource,
    Landing,
    LandingMode,
    LinkReason,
    LinkReport,
    MemberRecord,
    SourceQuality,
)

__all__ = [
    "Build",
    "BuildState",
    "BuildStep",
    "Cell",
    "CellConflict",
    "Dataset",
    "DatasetColumn",
    "Definition",
    "EntityHit",
    "EntityView",
    "FixedLanding",
    "GoldenRow",
    "LandedBatch",
    "LandedSource",
    "Landing",
    "LandingMode",
    "Library",
    "LinkReason",
    "LinkReport",
    "LinkScore",
    "MemberRecord",
    "SourceQuality",
    "evaluate_links",
    "load_definition",
    "shipped_definitions",
]

"""Watches duties by the evidence: findings with shares of liability, coordination cases, indicators."""

from datong.governance.alarm_watch import (
    STATE_NAMES,
    AlarmDecision,
    AlarmRecord,
    AlarmState,
    AlarmWatch,
)
from datong.governance.alarms import ALARM_NAMES, Alarm, AlarmKind
from datong.governance.annual_reports import AnnualReports
from datong.governance.benefit import Benefit, BenefitFactors, Benefits, DepartmentBenefit, ResourceUse, Saved
from datong.governance.case_desk import CaseDesk, CaseOrigins, GivenOrigins
from datong.governance.cases import CITED_MAX, Cases, Contested
from datong.governance.demand_mining import DemandMining
from datong.governance.duties import RULES, Clause, Duty, DutyKind, DutyRule, Span
from datong.governance.findings import Finding, PartyShare
from datong.governance.guards import GUARDS, Effect, Guard, Suspicion
from datong.governance.indicators import DepartmentPerformance, Discount, IndicatorValue, Performance
from datong.governance.judgement import judge
from datong.governance.ledger_evidence import EntryBook, GivenEntries, LedgerEvidence
from datong.governance.monitor import FindingRecord, Monitor, MonitorReport
from datong.governance.observations import EvidenceSource, GivenEvidence, Measure, Observation
from datong.governance.parties import PARTY_NAMES, Party, Shares
from datong.governance.performance import Indicators
from datong.governance.periods import Period
from datong.governance.publications import Publication, Publications
from datong.governance.recommendations import RECOMMENDATION_NAMES, Recommendation, RecommendationKind
from datong.governance.rederiving import Rederived, rederive_finding, rederive_indicators
from datong.governance.request_flow import (
    STEP_NAMES,
    FlowEdge,
    FlowMap,
    FlowRequest,
    FlowStep,
    FlowTurn,
    FlowVariant,
)
from datong.governance.request_flows import RequestFlows
from datong.governance.stages import (
    ACTION_NAMES,
    ORIGIN_NAMES,
    RULING_NAMES,
    STAGE_NAMES,
    Case,
    CaseAct,
    CaseAction,
    CaseOrigin,
    CaseSide,
    CaseStage,
    Recheck,
    Ruling,
    StageLimits,
)
from datong.governance.state_audit import GOVERNANCE_AREAS
from datong.governance.tallies import Tally

__all__ = [
    "ACTION_NAMES",
    "ALARM_NAMES",
    "CITED_MAX",
    "GOVERNANCE_AREAS",
    "GUARDS",
    "ORIGIN_NAMES",
    "PARTY_NAMES",
    "RECOMMENDATION_NAMES",
    "RULES",
    "RULING_NAMES",
    "STAGE_NAMES",
    "STATE_NAMES",
    "STEP_NAMES",
    "Alarm",
    "AlarmDecision",
    "AlarmKind",
    "AlarmRecord",
    "AlarmState",
    "AlarmWatch",
    "AnnualReports",
    "Benefit",
    "BenefitFactors",
    "Benefits",
    "Case",
    "CaseAct",
    "CaseAction",
    "CaseDesk",
    "CaseOrigin",
    "CaseOrigins",
    "CaseSide",
    "CaseStage",
    "Cases",
    "Clause",
    "Contested",
    "DemandMining",
    "DepartmentBenefit",
    "DepartmentPerformance",
    "Discount",
    "Duty",
    "DutyKind",
    "DutyRule",
    "Effect",
    "EntryBook",
    "EvidenceSource",
    "Finding",
    "FindingRecord",
    "FlowEdge",
    "FlowMap",
    "FlowRequest",
    "FlowStep",
    "FlowTurn",
    "FlowVariant",
    "GivenEntries",
    "GivenEvidence",
    "GivenOrigins",
    "Guard",
    "IndicatorValue",
    "Indicators",
    "LedgerEvidence",
    "Measure",
    "Monitor",
    "MonitorReport",
    "Observation",
    "Party",
    "PartyShare",
    "Performance",
    "Period",
    "Publication",
    "Publications",
    "Recheck",
    "Recommendation",
    "RecommendationKind",
    "Rederived",
    "RequestFlows",
    "ResourceUse",
    "Ruling",
    "Saved",
    "Shares",
    "Span",
    "StageLimits",
    "Suspicion",
    "Tally",
    "judge",
    "rederive_finding",
    "rederive_indicators",
]

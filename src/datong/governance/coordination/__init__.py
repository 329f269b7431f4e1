"""Coordination: joint meetings over cases, the handling of incidents, and what departments are to do by when."""

from datong.governance.coordination.assignment_book import Assignments
from datong.governance.coordination.assignments import (
    ASSIGNMENT_ACTION_NAMES,
    ASSIGNMENT_STATE_NAMES,
    Assignment,
    AssignmentAct,
    AssignmentAction,
    AssignmentState,
    NewAssignment,
    Origin,
)
from datong.governance.coordination.incident_book import Incidents
from datong.governance.coordination.incidents import (
    INCIDENT_ACTION_NAMES,
    INCIDENT_STATE_NAMES,
    SEVERITY_NAMES,
    Incident,
    IncidentAct,
    IncidentAction,
    IncidentState,
    NewIncident,
    Severity,
)
from datong.governance.coordination.meeting_book import Meetings
from datong.governance.coordination.meetings import (
    MEETING_STATE_NAMES,
    OUTCOME_NAMES,
    DecisionOfItem,
    Meeting,
    MeetingAction,
    MeetingItem,
    MeetingParty,
    MeetingState,
    NewMeeting,
    Outcome,
    agenda_of,
    outcomes_of,
)
from datong.governance.coordination.state_audit import COORDINATION_AREAS

__all__ = [
    "ASSIGNMENT_ACTION_NAMES",
    "ASSIGNMENT_STATE_NAMES",
    "COORDINATION_AREAS",
    "INCIDENT_ACTION_NAMES",
    "INCIDENT_STATE_NAMES",
    "MEETING_STATE_NAMES",
    "OUTCOME_NAMES",
    "SEVERITY_NAMES",
    "Assignment",
    "AssignmentAct",
    "AssignmentAction",
    "AssignmentState",
    "Assignments",
    "DecisionOfItem",
    "Incident",
    "IncidentAct",
    "IncidentAction",
    "IncidentState",
    "Incidents",
    "Meeting",
    "MeetingAction",
    "MeetingItem",
    "MeetingParty",
    "MeetingState",
    "Meetings",
    "NewAssignment",
    "NewIncident",
    "NewMeeting",
    "Origin",
    "Outcome",
    "Severity",
    "agenda_of",
    "outcomes_of",
]

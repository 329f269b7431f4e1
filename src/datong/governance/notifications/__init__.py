"""Notifications: who is told of what, in the console, by e-mail and by webhook, in digests and never in floods."""

from datong.governance.notifications.addresses import StoredAddresses
from datong.governance.notifications.coordinated import certificates_ending, reminders_of
from datong.governance.notifications.digests import Rate, Waiting, due_at
from datong.governance.notifications.inbox import Inbox, Notice, PeopleBook
from datong.governance.notifications.mail import Letter, Mailer, RecordingMailer, mail_refused, mail_unanswered
from datong.governance.notifications.matters import NEAR_WORKING_DAYS, TOPIC_NAMES, Audience, Matter, Names, Topic
from datong.governance.notifications.preferences import PACE_NAMES, Choices, Pace, Preferences
from datong.governance.notifications.sending import Message, MessageState, Sending
from datong.governance.notifications.state_audit import NOTIFICATION_AREAS
from datong.governance.notifications.telling import matters_of, reminder_of

__all__ = [
    "NEAR_WORKING_DAYS",
    "NOTIFICATION_AREAS",
    "PACE_NAMES",
    "TOPIC_NAMES",
    "Audience",
    "Choices",
    "Inbox",
    "Letter",
    "Mailer",
    "Matter",
    "Message",
    "MessageState",
    "Names",
    "Notice",
    "Pace",
    "PeopleBook",
    "Preferences",
    "Rate",
    "RecordingMailer",
    "Sending",
    "StoredAddresses",
    "Topic",
    "Waiting",
    "certificates_ending",
    "due_at",
    "mail_refused",
    "mail_unanswered",
    "matters_of",
    "reminder_of",
    "reminders_of",
]

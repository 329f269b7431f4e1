"""Who may use what, why, until when; one way out."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand
from datong.sharing.actions import Action, DataAccess, Decision, Target
from datong.sharing.agreement_rules import AgreementAction
from datong.sharing.amendment_rules import (
    Amendment,
    AmendmentAction,
    AmendmentKind,
    AmendmentState,
    TermsChange,
)
from datong.sharing.amendment_rules import possible_actions as amendment_actions
from datong.sharing.breaker import Breaker, CircuitState
from datong.sharing.delta_values import (
    DELTA_SHARING_PATH,
    PROFILE_PREFIX,
    FixedTables,
    SharedTable,
    SharedTableName,
    TableSource,
    TableVersion,
)
from datong.sharing.generalising import Generaliser
from datong.sharing.live_values import (
    LiveAnswer,
    LiveCall,
    LiveKind,
    LiveService,
    LiveTerms,
    SealedLiveAnswer,
    SealedLiveCall,
    SignedLiveAnswer,
)
from datong.sharing.masks import ColumnMask, MaskKind, apply_mask, mask_for, stricter_than
from datong.sharing.matching import Match, best_answers
from datong.sharing.obligations import AgreementSide, Obligation
from datong.sharing.paper_codes import read_code, shown_code
from datong.sharing.ports import (
    DepartmentBook,
    MemoryDepartments,
    MemoryResources,
    MemoryUses,
    PublishedResources,
    ResourceUses,
)
from datong.sharing.principals import Principal, Role
from datong.sharing.quotas import CallQuota, QuotaState
from datong.sharing.records import FixedRecords, Record, RecordSource
from datong.sharing.request_rules import RequestAction, RequestParty
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.terms import (
    Agreement,
    AgreementItem,
    AgreementState,
    Confirmation,
    EndCause,
    ExtensionState,
    LiabilityWeights,
    PartySignature,
    Purpose,
    PurposeDraft,
    Request,
    RequestLine,
    RequestState,
    ServiceLevels,
)

if TYPE_CHECKING:
    from datong.sharing.agreed_cells import SUBJECT_ELEMENTS, AgreedCells, cells_agreed, shown_plainly
    from datong.sharing.agreement_watch import AgreementWatch, EndedItem
    from datong.sharing.agreements import Agreements, decode_signature
    from datong.sharing.anonymity import (
        AnonymityReport,
        AnonymityRule,
        OffendingGroup,
        QuasiColumn,
        ReleasePlan,
    )
    from datong.sharing.assertions import ASSERTION_TYPE, client_assertion, token_request
    from datong.sharing.block_evidence import BlockEvidence
    from datong.sharing.blocks import Block, BlockCell, BlockEdge, BlockPurpose, Blocks
    from datong.sharing.call_queue import CallQueue
    from datong.sharing.citizens import (
        DisclosureHold,
        DisclosureHolds,
        HoldGround,
        HoldOrder,
        Objection,
        ObjectionAction,
        Objections,
        ObjectionState,
        OwnUses,
        ShownUse,
        UsagePage,
    )
    from datong.sharing.consent import Consent, ConsentAction, Consents, ConsentState, ConsentWay
    from datong.sharing.contract import contract_yaml
    from datong.sharing.credentials import BoundedArgon2, PasswordHasher
    from datong.sharing.delta_evidence import DeltaEvidence
    from datong.sharing.delta_release import Releases
    from datong.sharing.delta_shares import DeltaShares, FileAction, QueryAsk, TableAnswer
    from datong.sharing.delta_urls import FileSigner
    from datong.sharing.delta_versions import ChangesAsk
    from datong.sharing.documents import CHECK_PATH, AgreementDocuments, PaperEntry, PaperFacts
    from datong.sharing.events import ResourceEvent, ResourceEvents
    from datong.sharing.file_manifests import FileForm, FileReport, verify_file
    from datong.sharing.gateway import Gateway
    from datong.sharing.gateway_calls import KEY_ELEMENTS, Asked, GatewayAnswer, Once, VerifyAnswer
    from datong.sharing.gateway_sweep import forget_gateway_state
    from datong.sharing.gateway_told import Reply
    from datong.sharing.identity import Identity
    from datong.sharing.items import (
        CaseForm,
        FilledState,
        ItemDefinition,
        ServiceBenefit,
        ServiceCases,
        definition_of,
    )
    from datong.sharing.live import LiveServices
    from datong.sharing.live_sealing import LiveKey, sealed_answer
    from datong.sharing.machines import Application, ApplicationSecret, Node
    from datong.sharing.mask_columns import mask_columns
    from datong.sharing.mask_keys import MaskKeys, mask_secret
    from datong.sharing.open_releases import OpenRelease, OpenReleases, Suggestion
    from datong.sharing.people import Account, Session
    from datong.sharing.policy import PolicyEngine
    from datong.sharing.profiles import PROFILE_DAYS_DEFAULT, PROFILE_DAYS_MAX, Profile, ProfileFile, Profiles
    from datong.sharing.record_pages import PageAsk, RecordPage, RecordPages
    from datong.sharing.request_prefill import Prefill, SimilarRequest
    from datong.sharing.requests import Requests
    from datong.sharing.shared_features import AgreedFeature, AgreedPage, SharedFeatures
    from datong.sharing.shared_files import SharedFiles
    from datong.sharing.signed_calls import SignedCalls, SignedHeaders, SigningSecret, once_of
    from datong.sharing.simulator import CallVerdict, ColumnView, SimulatedCall, Simulator, Viewer
    from datong.sharing.state_audit import SHARING_AREAS
    from datong.sharing.statistic_values import (
        MILLI,
        Answer,
        Budget,
        BudgetOrder,
        Condition,
        Question,
        StatisticKind,
    )
    from datong.sharing.statistics import PrivateStatistics
    from datong.sharing.subjects import subject_index_key
    from datong.sharing.subscriptions import (
        DeliveryState,
        Subscriptions,
        WebhookDelivery,
        WebhookSecret,
        WebhookSubscription,
    )
    from datong.sharing.tokens import AccessToken
    from datong.sharing.usage import Usage, Use
    from datong.sharing.webhooks import WebhookSender, webhook_unanswered, webhook_url_invalid
else:
    __getattr__ = on_demand(
        __name__,
        {
            "state_audit": ["SHARING_AREAS"],
            "agreed_cells": ["SUBJECT_ELEMENTS", "AgreedCells", "cells_agreed", "shown_plainly"],
            "agreement_watch": ["AgreementWatch", "EndedItem"],
            "agreements": ["Agreements", "decode_signature"],
            "anonymity": ["AnonymityReport", "AnonymityRule", "OffendingGroup", "QuasiColumn", "ReleasePlan"],
            "open_releases": ["OpenReleases", "OpenRelease", "Suggestion"],
            "statistic_values": [
                "MILLI",
                "Answer",
                "Budget",
                "BudgetOrder",
                "Condition",
                "Question",
                "StatisticKind",
            ],
            "statistics": ["PrivateStatistics"],
            "block_evidence": ["BlockEvidence"],
            "blocks": ["Block", "BlockCell", "BlockEdge", "BlockPurpose", "Blocks"],
            "citizens": [
                "DisclosureHold",
                "DisclosureHolds",
                "HoldGround",
                "HoldOrder",
                "Objection",
                "ObjectionAction",
                "ObjectionState",
                "Objections",
                "OwnUses",
                "ShownUse",
                "UsagePage",
            ],
            "consent": ["Consent", "ConsentAction", "ConsentState", "ConsentWay", "Consents"],
            "contract": ["contract_yaml"],
            "credentials": ["BoundedArgon2", "PasswordHasher"],
            "documents": ["CHECK_PATH", "AgreementDocuments", "PaperEntry", "PaperFacts"],
            "delta_evidence": ["DeltaEvidence"],
            "delta_release": ["Releases"],
            "delta_shares": ["DeltaShares", "FileAction", "QueryAsk", "TableAnswer"],
            "delta_urls": ["FileSigner"],
            "call_queue": ["CallQueue"],
            "gateway": ["Gateway"],
            "gateway_calls": ["KEY_ELEMENTS", "Asked", "GatewayAnswer", "Once", "VerifyAnswer"],
            "gateway_told": ["Reply"],
            "gateway_sweep": ["forget_gateway_state"],
            "signed_calls": ["SignedCalls", "SignedHeaders", "SigningSecret", "once_of"],
            "delta_versions": ["ChangesAsk"],
            "identity": ["Identity"],
            "items": [
                "CaseForm",
                "FilledState",
                "ItemDefinition",
                "ServiceBenefit",
                "ServiceCases",
                "definition_of",
            ],
            "live": ["LiveServices"],
            "live_sealing": ["LiveKey", "sealed_answer"],
            "machines": ["Application", "ApplicationSecret", "Node"],
            "mask_columns": ["mask_columns"],
            "mask_keys": ["MaskKeys", "mask_secret"],
            "people": ["Account", "Session"],
            "policy": ["PolicyEngine"],
            "profiles": ["PROFILE_DAYS_DEFAULT", "PROFILE_DAYS_MAX", "Profile", "ProfileFile", "Profiles"],
            "request_prefill": ["Prefill", "SimilarRequest"],
            "requests": ["Requests"],
            "simulator": ["CallVerdict", "ColumnView", "SimulatedCall", "Simulator", "Viewer"],
            "shared_features": ["AgreedFeature", "AgreedPage", "SharedFeatures"],
            "subjects": ["subject_index_key"],
            "tokens": ["AccessToken"],
            "assertions": ["ASSERTION_TYPE", "client_assertion", "token_request"],
            "usage": ["Usage", "Use"],
            "file_manifests": ["FileForm", "FileReport", "verify_file"],
            "record_pages": ["PageAsk", "RecordPage", "RecordPages"],
            "shared_files": ["SharedFiles"],
            "events": ["ResourceEvent", "ResourceEvents"],
            "subscriptions": [
                "DeliveryState",
                "Subscriptions",
                "WebhookDelivery",
                "WebhookSecret",
                "WebhookSubscription",
            ],
            "webhooks": ["WebhookSender", "webhook_unanswered", "webhook_url_invalid"],
        },
    )

__all__ = [
    "ASSERTION_TYPE",
    "CHECK_PATH",
    "DELTA_SHARING_PATH",
    "KEY_ELEMENTS",
    "MILLI",
    "PROFILE_DAYS_DEFAULT",
    "PROFILE_DAYS_MAX",
    "PROFILE_PREFIX",
    "SHARING_AREAS",
    "SUBJECT_ELEMENTS",
    "AccessToken",
    "Account",
    "Action",
    "AgreedCells",
    "AgreedFeature",
    "AgreedPage",
    "Agreement",
    "AgreementAction",
    "AgreementDocuments",
    "AgreementItem",
    "AgreementSide",
    "AgreementState",
    "AgreementWatch",
    "Agreements",
    "Amendment",
    "AmendmentAction",
    "AmendmentKind",
    "AmendmentState",
    "AnonymityReport",
    "AnonymityRule",
    "Answer",
    "Application",
    "ApplicationSecret",
    "Asked",
    "Block",
    "BlockCell",
    "BlockEdge",
    "BlockEvidence",
    "BlockPurpose",
    "Blocks",
    "BoundedArgon2",
    "Breaker",
    "Budget",
    "BudgetOrder",
    "CallQueue",
    "CallQuota",
    "CallVerdict",
    "CaseForm",
    "ChangesAsk",
    "CircuitState",
    "ColumnMask",
    "ColumnView",
    "Condition",
    "Confirmation",
    "Consent",
    "ConsentAction",
    "ConsentState",
    "ConsentWay",
    "Consents",
    "DataAccess",
    "Decision",
    "DeliveryState",
    "DeltaEvidence",
    "DeltaShares",
    "DepartmentBook",
    "DisclosureHold",
    "DisclosureHolds",
    "EndCause",
    "EndedItem",
    "ExtensionState",
    "FileAction",
    "FileForm",
    "FileReport",
    "FileSigner",
    "FilledState",
    "FixedRecords",
    "FixedTables",
    "Gateway",
    "GatewayAnswer",
    "Generaliser",
    "HoldGround",
    "HoldOrder",
    "Identity",
    "ItemDefinition",
    "LiabilityWeights",
    "LiveAnswer",
    "LiveCall",
    "LiveKey",
    "LiveKind",
    "LiveService",
    "LiveServices",
    "LiveTerms",
    "MaskKeys",
    "MaskKind",
    "Match",
    "MemoryDepartments",
    "MemoryResources",
    "MemoryUses",
    "Node",
    "Objection",
    "ObjectionAction",
    "ObjectionState",
    "Objections",
    "Obligation",
    "OffendingGroup",
    "Once",
    "OpenRelease",
    "OpenReleases",
    "OwnUses",
    "PageAsk",
    "PaperEntry",
    "PaperFacts",
    "PartySignature",
    "PasswordHasher",
    "PolicyEngine",
    "Prefill",
    "Principal",
    "PrivateStatistics",
    "Profile",
    "ProfileFile",
    "Profiles",
    "PublishedResources",
    "Purpose",
    "PurposeDraft",
    "QuasiColumn",
    "QueryAsk",
    "Question",
    "QuotaState",
    "Record",
    "RecordPage",
    "RecordPages",
    "RecordSource",
    "ReleasePlan",
    "Releases",
    "Reply",
    "Request",
    "RequestAction",
    "RequestLine",
    "RequestParty",
    "RequestState",
    "Requests",
    "ResourceEvent",
    "ResourceEvents",
    "ResourceUses",
    "Role",
    "RowCondition",
    "RowOperator",
    "SealedLiveAnswer",
    "SealedLiveCall",
    "ServiceBenefit",
    "ServiceCases",
    "ServiceLevels",
    "Session",
    "SharedFeatures",
    "SharedFiles",
    "SharedTable",
    "SharedTableName",
    "ShownUse",
    "SignedCalls",
    "SignedHeaders",
    "SignedLiveAnswer",
    "SigningSecret",
    "SimilarRequest",
    "SimulatedCall",
    "Simulator",
    "StatisticKind",
    "Subscriptions",
    "Suggestion",
    "TableAnswer",
    "TableSource",
    "TableVersion",
    "Target",
    "TermsChange",
    "Usage",
    "UsagePage",
    "Use",
    "VerifyAnswer",
    "Viewer",
    "WebhookDelivery",
    "WebhookSecret",
    "WebhookSender",
    "WebhookSubscription",
    "amendment_actions",
    "apply_mask",
    "best_answers",
    "cells_agreed",
    "client_assertion",
    "contract_yaml",
    "decode_signature",
    "definition_of",
    "forget_gateway_state",
    "mask_columns",
    "mask_for",
    "mask_secret",
    "once_of",
    "read_code",
    "sealed_answer",
    "shown_code",
    "shown_plainly",
    "stricter_than",
    "subject_index_key",
    "token_request",
    "verify_file",
    "webhook_unanswered",
    "webhook_url_invalid",
]

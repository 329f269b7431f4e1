"""The one decision point: every permission check of the API, the console and the gateway ends here (ADR 0005).

The policies are static Cedar text in `policies/`, validated against `schema.cedarschema` when the engine is built. The
agreement in question is passed as context. Each policy carries `@id`, `@why_zh` and `@why_en`; the policies that
determined a decision are its explanation. Cedar skips a policy that errors, which could turn a forbid into an allow:
any diagnostic error is therefore a denial.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from importlib import resources

import cedarpy

from datong.kernel import Misconfigured, Refused, Text
from datong.sharing.actions import Action, DataAccess, Decision, Target
from datong.sharing.principals import Principal
from datong.sharing.terms import Agreement

MANAGEMENT_FILE = "management.cedar"
DATA_FILE = "data.cedar"
POLICY_FILES = (MANAGEMENT_FILE, DATA_FILE)
SCHEMA_FILE = "schema.cedarschema"
NOTHING_PERMITS = "policy.nothing_permits"
POLICY_ERROR = "policy.error"

_NOTHING_PERMITS_TEXT = Text(
    zh="没有任何规则允许该身份办理这件事。", en="No policy permits this to somebody with these roles."
)
_POLICY_ERROR_TEXT = Text(
    zh="策略无法完成判断，按不允许处理。", en="The policies could not be evaluated, which counts as a refusal."
)
_ASK_TEXT = Text(
    zh="请由有相应职责的人员办理；确需办理的，请联系本部门数据管理员。",
    en="Let somebody with that duty do it, or ask your department's data officer.",
)


class PolicyEngine:
    """Decides whether a principal may do something, and says why.

    Raises:
        Misconfigured: the policies do not parse, do not fit the schema, or lack an id or an explanation.
    """

    def __init__(self, *, policies: str | None = None, schema: str | None = None) -> None:
        text = policies if policies is not None else "\n".join(read_policy_file(name) for name in POLICY_FILES)
        schema_text = schema if schema is not None else read_policy_file(SCHEMA_FILE)
        try:
            self._schema = cedarpy.Schema.from_str(schema_text)
            # One set per file: a decision evaluates every policy of its set, so the hot path carries no others.
            self._management = cedarpy.PolicySet.from_str(policies or read_policy_file(MANAGEMENT_FILE))
            self._data = cedarpy.PolicySet.from_str(policies or read_policy_file(DATA_FILE))
            check = cedarpy.validate_policies(text, self._schema)
            self._why = _explanations(text)
        except ValueError as error:
            raise _broken(str(error)) from error
        if not check.validation_passed:
            raise _broken("; ".join(str(found) for found in check.errors))

    @property
    def explanations(self) -> Mapping[str, Text]:
        """What each policy says, by its id."""
        return self._why

    def authorise(self, principal: Principal, action: Action, target: Target | None = None) -> Decision:
        """Decide about an act of management. For access to data use `authorise_data`."""
        return self._decide(self._management, principal, action, target or Target(), {})

    def require(self, principal: Principal, action: Action, target: Target | None = None) -> None:
        """Let an act of management pass, or refuse it with its reasons.

        Raises:
            Refused: `sharing.not_permitted`; the context names the action and the policies.
        """
        decision = self.authorise(principal, action, target)
        if not decision.allowed:
            raise refusal("sharing.not_permitted", decision, action=action)

    def authorise_data(
        self, principal: Principal, action: Action, access: DataAccess, agreement: Agreement | None, now: datetime
    ) -> Decision:
        """Decide whether `principal` may use what `access` names under `agreement` (None: there is none)."""
        target = Target(id=access.resource_id, department=access.provider, provider=access.provider)
        context: dict[str, object] = {
            "items": sorted(access.items),
            "mode": access.mode.value,
            "purpose": access.purpose,
            "case_stated": access.case_stated,
            "rows_filtered": access.rows_filtered,
            "bound": access.bound,
            "consented": access.consented,
            "now": int(now.timestamp()),
        }
        if agreement is not None:
            context["agreement"] = {
                "provider": agreement.provider,
                "consumer": agreement.consumer,
                "resource": agreement.resource_id,
                "items": sorted(agreement.columns),
                "modes": sorted(mode.value for mode in agreement.purpose.modes),
                "purpose": agreement.purpose.service_item,
                "state": agreement.state.value,
                "valid_from": int(agreement.valid_from.timestamp()),
                "valid_until": int(agreement.valid_until.timestamp()),
                "row_filtered": bool(agreement.row_filter),
                "consent_needed": agreement.purpose.consent,
            }
        return self._decide(self._data, principal, action, target, context)

    def _decide(
        self,
        policies: cedarpy.PolicySet,
        principal: Principal,
        action: Action,
        target: Target,
        context: Mapping[str, object],
    ) -> Decision:
        party = {"type": "Datong::Party", "id": principal.actor.id or "-"}
        thing = {"type": "Datong::Thing", "id": target.id or "-"}
        entities = [
            {"uid": party, "attrs": _party_facts(principal), "parents": []},
            {"uid": thing, "attrs": _thing_facts(target), "parents": []},
        ]
        request = {
            "principal": party,
            "action": {"type": "Datong::Action", "id": action.value},
            "resource": thing,
            "context": dict(context),
        }
        try:
            result = cedarpy.is_authorized(request, policies, json.dumps(entities), self._schema)
        except ValueError:
            return _error_decision()
        if result.diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
            return _error_decision()
        names = result.diagnostics.id_annotations_by_reason
        ids = tuple(sorted(names[policy] for policy in result.diagnostics.reasons))
        if not ids:
            return Decision(allowed=False, reasons=(_NOTHING_PERMITS_TEXT,), policy_ids=(NOTHING_PERMITS,))
        return Decision(allowed=result.allowed, reasons=tuple(self._why[name] for name in ids), policy_ids=ids)


def refusal(code: str, decision: Decision, **context: object) -> Refused:
    """Return the error that tells a caller why `decision` was a denial."""
    return Refused(
        code,
        what=Text(
            zh="".join(reason.zh for reason in decision.reasons),
            en=" ".join(reason.en for reason in decision.reasons),
        ),
        remedy=_ASK_TEXT,
        context={"policies": list(decision.policy_ids), **context},
    )


def read_policy_file(name: str) -> str:
    """Return a policy or schema file that ships with the package."""
    return resources.files("datong.sharing").joinpath("policies", name).read_text(encoding="utf-8")


def _party_facts(principal: Principal) -> dict[str, object]:
    facts: dict[str, object] = {
        "kind": principal.actor.kind.value,
        "id": principal.actor.id,
        "roles": sorted(role.value for role in principal.roles),
    }
    if principal.department:
        facts["department"] = principal.department
    return facts


def _thing_facts(target: Target) -> dict[str, object]:
    known = {
        "department": target.department,
        "provider": target.provider,
        "consumer": target.consumer,
        "node": target.node,
        "person": target.person,
    }
    return {
        "id": target.id,
        "grants": sorted(role.value for role in target.grants),
        **{name: value for name, value in known.items() if value},
    }


def _explanations(text: str) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for policy in json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"].values():
        notes = policy.get("annotations", {})
        if not all(notes.get(key) for key in ("id", "why_zh", "why_en")) or notes["id"] in found:
            raise ValueError(f"a policy lacks an id of its own or an explanation: {notes}")
        found[notes["id"]] = Text(zh=notes["why_zh"], en=notes["why_en"])
    return found


def _error_decision() -> Decision:
    return Decision(allowed=False, reasons=(_POLICY_ERROR_TEXT,), policy_ids=(POLICY_ERROR,))


def _broken(detail: str) -> Misconfigured:
    return Misconfigured(
        "sharing.policies_broken",
        what=Text(zh=f"访问策略文件不可用：{detail}", en=f"The access policies are not usable: {detail}"),
        remedy=Text(zh="请恢复发布版本中的策略文件。", en="Restore the policy files of the release."),
    )

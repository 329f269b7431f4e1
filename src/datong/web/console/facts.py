"""The facts of an entry for people: named, departments and codes in words, times in China time, ids as links."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from datong.kernel import AgreementId, CaseId, DatongError, FindingId, ResourceId, Text, Value
from datong.norms import ShareType
from datong.web.console.desk import Desk
from datong.web.console.texts import moment_exact

PLACES: Mapping[str, str] = {
    "agreement": "/agreements/",
    "agreement_id": "/agreements/",
    "case": "/cases/",
    "correction": "/corrections/",
    "file": "/files/",
    "finding": "/governance/findings/",
    "request_id": "/requests/",
    "resource": "/catalogue/",
    "resource_id": "/catalogue/",
    "task": "/transfers/",
}
"""Where the value of a fact leads to."""
CODED = frozenset(
    {
        "action",
        "assessment",
        "extension",
        "from_state",
        "kind",
        "mode",
        "modes",
        "outcome",
        "stage_after",
        "stage_before",
        "state",
        "step",
        "to_state",
        "update_cycle",
    }
)
"""Facts whose values are words of a vocabulary."""
DEPARTMENTS = frozenset({"authority", "confirmed_by", "consumer", "department", "departments", "provider"})
TIMES = frozenset(
    {
        "applied_at",
        "arrived_at",
        "done_at",
        "due_at",
        "produced_at",
        "provide_due_at",
        "submitted_at",
        "valid_from",
        "valid_until",
    }
)
ELEMENTS = frozenset({"element", "elements"})
"""Facts whose values are data elements."""
YES, NO = Text(zh="是", en="yes"), Text(zh="否", en="no")
SUBJECT = Text(zh="当事人承诺值", en="Commitment to the person")


class FactRow(Value):
    """One fact: its name, its value in words, where it leads to, and whether it is a digest or an id."""

    name: str
    value: str
    address: str = ""
    exact: bool = False


def fact_rows(desk: Desk, facts: Mapping[str, object]) -> tuple[FactRow, ...]:
    """Return the facts of an entry that say something, in the order of the log."""
    return tuple(_fact_row(desk, key, value) for key, value in facts.items() if value not in (None, "", [], {}))


def _fact_row(desk: Desk, key: str, value: object) -> FactRow:
    say = desk.speech.say
    name = say(SUBJECT) if key.startswith("subject_") else desk.speech.named(FACTS, key)
    if isinstance(value, bool):
        return FactRow(name=name, value=say(YES if value else NO))
    if isinstance(value, Mapping):
        if set(value) == {"zh", "en"}:
            return FactRow(name=name, value=say(Text(zh=str(value["zh"]), en=str(value["en"]))))
        if all(isinstance(member, str | int) for member in value.values()):
            pairs = [f"{desk.speech.named(WORDS, word)} {member}" for word, member in value.items()]
            return FactRow(name=name, value=desk.speech.t("，", ", ").join(pairs))
    if isinstance(value, str):
        address = PLACES[key] + value if key in PLACES else ""
        title = _title(desk, key, value)
        if title:
            return FactRow(name=name, value=title, address=address)
        return FactRow(name=name, value=_in_words(desk, key, value), address=address, exact=_is_exact(key, value))
    if isinstance(value, Sequence) and all(isinstance(member, str) for member in value):
        words = [_in_words(desk, key, str(member)) for member in value]
        return FactRow(name=name, value=desk.speech.t("、", ", ").join(words), exact=_is_exact(key, words[0]))
    if isinstance(value, int):
        return FactRow(name=name, value=f"{value:,}")
    return FactRow(name=name, value=json.dumps(value, ensure_ascii=False), exact=True)


def _title(desk: Desk, key: str, value: str) -> str:
    """Return the name of the resource, agreement, finding or case that a fact points to; empty if there is none."""
    with suppress(DatongError):
        if key in {"resource", "resource_id"}:
            return desk.speech.say(desk.resource_title(ResourceId(value)))
        if key in {"agreement", "agreement_id"}:
            return desk.speech.say(desk.services.agreements.get(AgreementId(value)).resource_title)
        if key == "finding":
            return desk.speech.say(desk.services.monitor.finding(FindingId(value)).finding.title)
        if key == "case":
            return desk.speech.say(desk.services.case_desk.title_of(desk.services.cases.get(CaseId(value))))
    return ""


def _in_words(desk: Desk, key: str, value: str) -> str:
    if key in DEPARTMENTS:
        return desk.department_name(value)
    if key in ELEMENTS:
        return desk.element_name(value)
    if key in CODED:
        return desk.speech.named(WORDS, value)
    if key == "share_type" and value in set(ShareType):
        return desk.speech.say(ShareType(value))
    if key in TIMES:
        return moment_exact(datetime.fromisoformat(value))
    return value


def _is_exact(key: str, value: str) -> bool:
    """Whether a value is an id, a digest, a key or a signature, which is set in a fixed-width face."""
    return key not in CODED | DEPARTMENTS | TIMES and len(value) > 15 and value.isascii() and " " not in value


FACTS: Mapping[str, Text] = {
    "access_id": Text(zh="调用编号", en="Access id"),
    "action": Text(zh="操作", en="Act"),
    "agreement": Text(zh="协议", en="Agreement"),
    "agreement_id": Text(zh="协议", en="Agreement"),
    "agreement_ids": Text(zh="协议", en="Agreements"),
    "allowed": Text(zh="是否允许", en="Allowed"),
    "amount": Text(zh="总数", en="Out of"),
    "annual_cases": Text(zh="年办件量", en="Cases a year"),
    "answer_sha256": Text(zh="答复摘要", en="Digest of the answer"),
    "answer_commitment": Text(zh="答复承诺值", en="Commitment to the answer"),
    "applied_at": Text(zh="应用时间", en="Applied at"),
    "article": Text(zh="条款", en="Article"),
    "assessment": Text(zh="评估结论", en="Assessment"),
    "authority": Text(zh="主管部门", en="Authority"),
    "batch": Text(zh="批次", en="Batch"),
    "bound": Text(zh="已挂接", en="Bound"),
    "build": Text(zh="构建", en="Build"),
    "bundle_id": Text(zh="申请批号", en="Bundle"),
    "case": Text(zh="协调事项", en="Case"),
    "case_commitment": Text(zh="办件承诺值", en="Commitment to the case number"),
    "code": Text(zh="信息资源代码", en="Resource code"),
    "columns": Text(zh="列", en="Columns"),
    "commitment": Text(zh="密钥承诺值", en="Commitment to the secret"),
    "confirmed_by": Text(zh="已确认部门", en="Confirmed by"),
    "consumer": Text(zh="需求部门", en="Consumer"),
    "contact_named": Text(zh="是否列明联系人", en="Contact named"),
    "comments": Text(zh="逐项意见数", en="Comments on fields"),
    "comments_sha256": Text(zh="逐项意见摘要", en="Digest of the comments"),
    "content_sha256": Text(zh="内容摘要", en="Content digest"),
    "content_digest": Text(zh="内容摘要", en="Content digest"),
    "data_category": Text(zh="数据分类", en="Data category"),
    "definition": Text(zh="资源库定义", en="Library definition"),
    "delay_working_days": Text(zh="延误（工作日）", en="Delay (working days)"),
    "department": Text(zh="部门", en="Department"),
    "departments": Text(zh="涉及部门", en="Departments"),
    "distributions": Text(zh="获取方式数", en="Number of distributions"),
    "done_at": Text(zh="完成时间", en="Done at"),
    "due_at": Text(zh="期限", en="Due at"),
    "element": Text(zh="数据元", en="Data element"),
    "elements": Text(zh="数据元", en="Data elements"),
    "ends": Text(zh="两端", en="Ends"),
    "entities": Text(zh="实体数", en="Entities"),
    "epoch": Text(zh="密钥周期", en="Epoch"),
    "equal": Text(zh="是否一致", en="Equal"),
    "evidence": Text(zh="证据", en="Evidence"),
    "evidence_leaves": Text(zh="证据的叶子摘要", en="Leaves of the evidence"),
    "extension": Text(zh="延期", en="Extension"),
    "faults": Text(zh="差错数", en="Faults"),
    "fields": Text(zh="字段数", en="Number of fields"),
    "file": Text(zh="文件编号", en="File"),
    "finding": Text(zh="责任认定", en="Finding"),
    "first_sequence": Text(zh="起始批次", en="First batch"),
    "from_state": Text(zh="原状态", en="From state"),
    "base": Text(zh="沿用的构建", en="Build it started from"),
    "golden_digest": Text(zh="主记录摘要", en="Digest of the golden records"),
    "input_digest": Text(zh="输入摘要", en="Digest of the input"),
    "inputs": Text(zh="输入", en="Inputs"),
    "is_authority": Text(zh="是否主管部门", en="Is the authority"),
    "items": Text(zh="信息项", en="Items"),
    "items_count": Text(zh="信息项数", en="Number of items"),
    "items_sha256": Text(zh="信息项摘要", en="Digest of the items"),
    "key_id": Text(zh="密钥编号", en="Key id"),
    "since": Text(zh="自何时起", en="Since"),
    "kind": Text(zh="类别", en="Kind"),
    "last": Text(zh="是否最后一批", en="Last batch of the run"),
    "last_sequence": Text(zh="截止批次", en="Last batch"),
    "legal_basis_sha256": Text(zh="依据摘要", en="Digest of the legal basis"),
    "legal_basis_cited": Text(zh="是否列明依据", en="Legal basis cited"),
    "manifest_digest": Text(zh="清单摘要", en="Digest of the manifest"),
    "mapped_items": Text(zh="已对标信息项", en="Mapped items"),
    "sm3": Text(zh="SM3 摘要", en="SM3"),
    "standard_items": Text(zh="达标信息项", en="Items that meet the norms"),
    "milliseconds": Text(zh="用时（毫秒）", en="Milliseconds"),
    "mode": Text(zh="方式", en="Mode"),
    "modes": Text(zh="共享方式", en="Share modes"),
    "name_en": Text(zh="英文名称", en="Name (English)"),
    "name_zh": Text(zh="中文名称", en="Name (Chinese)"),
    "node_id": Text(zh="节点", en="Node"),
    "norms": Text(zh="规范版本", en="Norms version"),
    "objection_id": Text(zh="异议编号", en="Objection"),
    "open": Text(zh="是否开放", en="Open"),
    "origin": Text(zh="来源", en="Origin"),
    "outcome": Text(zh="结果", en="Outcome"),
    "payload_bytes": Text(zh="载荷字节数", en="Payload bytes"),
    "payload_digest": Text(zh="载荷摘要", en="Digest of the payload"),
    "points": Text(zh="扣分（百分之一分）", en="Points (hundredths)"),
    "policies": Text(zh="适用策略", en="Policies applied"),
    "planned_for": Text(zh="承诺开放日期", en="Promised for"),
    "previous_digest": Text(zh="前一批摘要", en="Digest of the previous batch"),
    "produced_at": Text(zh="生成时间", en="Produced at"),
    "provide_due_at": Text(zh="提供期限", en="Provide by"),
    "provider": Text(zh="提供部门", en="Provider"),
    "public_key": Text(zh="公钥", en="Public key"),
    "published_version": Text(zh="已发布版本", en="Published version"),
    "reason_sha256": Text(zh="理由摘要", en="Digest of the reason"),
    "recipients": Text(zh="收件节点", en="Recipients"),
    "reconciliation": Text(zh="对账编号", en="Reconciliation"),
    "records": Text(zh="记录数", en="Records"),
    "replaces": Text(zh="所替代的认定", en="Replaces"),
    "request_id": Text(zh="申请", en="Request"),
    "resource": Text(zh="信息资源", en="Resource"),
    "resource_id": Text(zh="信息资源", en="Resource"),
    "resource_version": Text(zh="资源版本", en="Resource version"),
    "origin_id": Text(zh="来源编号", en="Id of the origin"),
    "recheck": Text(zh="复核结果", en="What judging again gave"),
    "revision": Text(zh="修订", en="Revision"),
    "ruling": Text(zh="裁定", en="Ruling"),
    "rows": Text(zh="行数", en="Rows"),
    "rows_applied": Text(zh="已应用行数", en="Rows applied"),
    "rows_rejected": Text(zh="拒收行数", en="Rows rejected"),
    "rules": Text(zh="规则版本", en="Rules version"),
    "run": Text(zh="运行序号", en="Run"),
    "run_done": Text(zh="已完成运行", en="Runs done"),
    "run_requested": Text(zh="已请求运行", en="Runs requested"),
    "scope": Text(zh="范围", en="Scope"),
    "sealed": Text(zh="端到端加密", en="Sealed end to end"),
    "sealed_to": Text(zh="收件密钥", en="Recipient keys"),
    "sequence": Text(zh="批次序号", en="Sequence"),
    "service_item": Text(zh="服务事项", en="Service item"),
    "share_type": Text(zh="共享类型", en="Share type"),
    "shares": Text(zh="责任划分（万分比）", en="Shares (basis points)"),
    "short_name_en": Text(zh="英文简称", en="Short name (English)"),
    "short_name_zh": Text(zh="中文简称", en="Short name (Chinese)"),
    "signature": Text(zh="签名", en="Signature"),
    "signed_off": Text(zh="负责人是否签批", en="Signed off by the head"),
    "signed_by": Text(zh="签署密钥", en="Signed with keys"),
    "sketches": Text(zh="草图数", en="Number of sketches"),
    "sketches_sha256": Text(zh="草图摘要", en="Digest of the sketches"),
    "source_id": Text(zh="认定编号", en="Designation"),
    "stage_after": Text(zh="新阶段", en="Stage after"),
    "stage_before": Text(zh="原阶段", en="Stage before"),
    "state": Text(zh="状态", en="State"),
    "statement_digest": Text(zh="意见摘要", en="Digest of the statement"),
    "step": Text(zh="步骤", en="Step"),
    "subject": Text(zh="对象", en="Subject"),
    "subjects": Text(zh="涉及人数", en="People concerned"),
    "submitted_at": Text(zh="提交时间", en="Submitted at"),
    "subscription": Text(zh="订阅编号", en="Subscription"),
    "table_digest": Text(zh="目标表摘要", en="Digest of the target table"),
    "table_rows": Text(zh="目标表行数", en="Rows of the target table"),
    "tables": Text(zh="数据表", en="Tables"),
    "task": Text(zh="交换任务", en="Transfer task"),
    "terms_sha256": Text(zh="条款摘要", en="Digest of the terms"),
    "title": Text(zh="标题", en="Title"),
    "to_state": Text(zh="新状态", en="To state"),
    "too_few": Text(zh="取值太少的草图数", en="Sketches with too few values"),
    "update_cycle": Text(zh="更新周期", en="Update cycle"),
    "use_condition_stated": Text(zh="是否列明使用条件", en="Condition of use stated"),
    "valid_from": Text(zh="生效时间", en="Valid from"),
    "valid_until": Text(zh="有效期至", en="Valid until"),
    "version": Text(zh="版本", en="Version"),
    "correction": Text(zh="校核", en="Correction"),
    "disposal_sha256": Text(zh="处置说明摘要", en="Digest of what was said of the disposal"),
    "disposed_at": Text(zh="处置时间", en="Disposed of at"),
    "disputes": Text(zh="退回次数", en="Times sent back"),
    "statement_sha256": Text(zh="说明摘要", en="Digest of the statement"),
    "quality": Text(zh="各来源质量", en="Quality of the sources"),
    "decision": Text(zh="核对决定", en="Decision"),
    "pair_commitment": Text(zh="记录对承诺值", en="Commitment to the pair"),
    "millibits": Text(zh="匹配权重（毫比特）", en="Weight (millibits)"),
    "record_commitment": Text(zh="记录承诺值", en="Commitment to the record"),
    "disputed_commitment": Text(zh="有误值承诺值", en="Commitment to the disputed value"),
    "believed_commitment": Text(zh="主张值承诺值", en="Commitment to the value believed right"),
    "seen_commitment": Text(zh="更正值承诺值", en="Commitment to the corrected value"),
    "arrived_at": Text(zh="批次到达时间", en="Batch arrived at"),
    "golden": Text(zh="主记录已更新", en="Golden record updated"),
    "as_believed": Text(zh="与主张一致", en="As believed"),
    "library": Text(zh="资源库", en="Library"),
    "entity_commitment": Text(zh="实体承诺值", en="Commitment to the entity"),
    "purpose_sha256": Text(zh="用途摘要", en="Digest of the purpose"),
    "shown": Text(zh="显示的格", en="Cells shown"),
    "hidden": Text(zh="未显示的格", en="Cells left out"),
    "number": Text(zh="序号", en="Number"),
    "decisions": Text(zh="决定", en="Decisions"),
    "same": Text(zh="其中判为同一个", en="of them the same"),
    "precision_before": Text(zh="原准确率（万分之）", en="Precision before (basis points)"),
    "precision_after": Text(zh="新准确率（万分之）", en="Precision after (basis points)"),
    "recall_before": Text(zh="原召回率（万分之）", en="Recall before (basis points)"),
    "recall_after": Text(zh="新召回率（万分之）", en="Recall after (basis points)"),
    "days": Text(zh="保存天数", en="Days kept"),
    "days_before": Text(zh="原保存天数", en="Days kept before"),
    "versions_min": Text(zh="至少保留的版本数", en="Versions kept at least"),
    "versions_min_before": Text(zh="原至少保留的版本数", en="Versions kept at least before"),
    "hold": Text(zh="保全", en="Hold"),
    "versions": Text(zh="销毁的版本", en="Versions disposed of"),
    "erased_versions": Text(zh="文件已删除的版本", en="Versions whose files are gone"),
    "tables_sha256": Text(zh="表摘要", en="Digest of the tables"),
    "files": Text(zh="文件", en="Files"),
    "bytes": Text(zh="字节数", en="Bytes"),
    "files_sha256": Text(zh="文件清单摘要", en="Digest of the list of files"),
    "files_left": Text(zh="剩余文件", en="Files left"),
    "ended_at": Text(zh="办结时间", en="Settled at"),
    "acts": Text(zh="办理次数", en="Acts"),
    "table_versions": Text(zh="数据表版本", en="Versions of the table"),
    "files_count": Text(zh="文件数", en="Files"),
    "profile_id": Text(zh="凭据文件编号", en="Profile"),
    "application_id": Text(zh="应用编号", en="Application"),
    "expires_at": Text(zh="有效期至", en="Expires"),
    "replaced": Text(zh="被替换的凭据文件", en="Profiles replaced"),
}
"""What the facts are called; one that is not here is shown under its own key, as the log has it."""

WORDS: Mapping[str, Text] = {
    "later": Text(zh="以后再定", en="later"),
    "different": Text(zh="不是同一个", en="different"),
    "same": Text(zh="是同一个", en="the same"),
    "block": Text(zh="块数据", en="block data"),
    "table": Text(zh="整表共享", en="shared table"),
    "issue": Text(zh="签发", en="issue"),
    "revoke": Text(zh="作废", en="revoke"),
    "propose": Text(zh="提出权重", en="propose weights"),
    "activate": Text(zh="启用权重", en="put weights in force"),
    "decline": Text(zh="不采纳权重", en="decline weights"),
    "declare": Text(zh="规定保存期", en="declare the retention"),
    "hold": Text(zh="保全版本", en="hold a version"),
    "release": Text(zh="解除保全", en="release a hold"),
    "erase": Text(zh="文件已删除", en="files erased"),
    "dispose_report": Text(zh="销毁校核内容", en="dispose of a report's values"),
    "active": Text(zh="生效", en="active"),
    "admit": Text(zh="公示", en="admit"),
    "admitted": Text(zh="待交办", en="awaits a department"),
    "assign": Text(zh="交办", en="assign"),
    "assigned": Text(zh="待答复", en="awaits its answer"),
    "declined": Text(zh="不予开放", en="declined"),
    "hand_back": Text(zh="退回主管部门", en="hand back"),
    "make": Text(zh="提出", en="make"),
    "plan": Text(zh="答应开放", en="promise"),
    "planned": Text(zh="计划开放", en="planned"),
    "point": Text(zh="指明已有数据", en="point to it"),
    "received": Text(zh="待审核", en="being read"),
    "there": Text(zh="已有数据", en="already there"),
    "wish": Text(zh="逾期答复公众需求", en="overdue answer to the public"),
    "approve": Text(zh="同意", en="approve"),
    "approved": Text(zh="审核通过", en="approved"),
    "ask": Text(zh="恢复收取", en="ask again"),
    "authority": Text(zh="主管部门", en="authority"),
    "bulk": Text(zh="批量交换", en="bulk exchange"),
    "cancel": Text(zh="撤销", en="cancel"),
    "change": Text(zh="修改", en="change"),
    "closed": Text(zh="已办结", en="closed"),
    "confirm": Text(zh="确认", en="confirm"),
    "confirmed": Text(zh="待签署", en="to be signed"),
    "consent_extension": Text(zh="同意延期", en="consent to the extension"),
    "create": Text(zh="建立", en="create"),
    "daily": Text(zh="每日", en="daily"),
    "decide": Text(zh="作出决定", en="decide"),
    "deny_extension": Text(zh="不同意延期", en="deny the extension"),
    "designate": Text(zh="认定数源部门", en="designate the source"),
    "discard": Text(zh="放弃修订", en="discard the revision"),
    "dismiss": Text(zh="异议不成立", en="dismiss the objection"),
    "dispose": Text(zh="到期删除", en="dispose of"),
    "sweep": Text(zh="清理未完成的上传", en="clear unfinished uploads"),
    "download": Text(zh="下载", en="download"),
    "draft": Text(zh="草稿", en="draft"),
    "drop": Text(zh="删除草稿", en="drop the draft"),
    "draw_up": Text(zh="拟定", en="draw up"),
    "edit": Text(zh="修改", en="edit"),
    "end": Text(zh="结束", en="end"),
    "end_epoch": Text(zh="结束密钥周期", en="end the epoch"),
    "ended": Text(zh="已结束", en="ended"),
    "capture": Text(zh="变更捕获", en="change capture"),
    "diff": Text(zh="比对增量", en="snapshot difference"),
    "escalate": Text(zh="提请上一级", en="escalate"),
    "expire": Text(zh="到期", en="expire"),
    "expired": Text(zh="已到期", en="expired"),
    "extend": Text(zh="申请延期", en="ask for an extension"),
    "file": Text(zh="文件下载", en="file download"),
    "government": Text(zh="本级政府决定", en="decision of the government"),
    "grant_unconditional": Text(zh="当即同意", en="grant at once"),
    "granted": Text(zh="已同意", en="granted"),
    "half_yearly": Text(zh="每半年", en="half-yearly"),
    "increment": Text(zh="增量", en="increment"),
    "interface": Text(zh="服务接口", en="service interface"),
    "irregular": Text(zh="不定期", en="irregular"),
    "keep": Text(zh="保留由本人提供", en="keep asking"),
    "monthly": Text(zh="每月", en="monthly"),
    "negotiate": Text(zh="双方协商", en="negotiation"),
    "network": Text(zh="网络", en="network"),
    "none": Text(zh="无", en="none"),
    "not_passed": Text(zh="不通过", en="not passed"),
    "object": Text(zh="提出异议", en="object"),
    "open": Text(zh="立案", en="open"),
    "open_epoch": Text(zh="开始密钥周期", en="open an epoch"),
    "passed": Text(zh="通过", en="passed"),
    "passed_with_conditions": Text(zh="附条件通过", en="passed with conditions"),
    "pause": Text(zh="暂停", en="pause"),
    "paused": Text(zh="已暂停", en="paused"),
    "platform": Text(zh="平台", en="platform"),
    "provider": Text(zh="提供部门", en="provider"),
    "provision": Text(zh="逾期提供", en="overdue provision"),
    "publish": Text(zh="发布", en="publish"),
    "published": Text(zh="已发布", en="published"),
    "quality": Text(zh="数据被拒收", en="rejected rows"),
    "quarterly": Text(zh="每季度", en="quarterly"),
    "query": Text(zh="查询", en="query"),
    "real_time": Text(zh="实时", en="real time"),
    "receive": Text(zh="签收", en="receive"),
    "reconcile": Text(zh="对账", en="reconcile"),
    "refuse": Text(zh="拒绝", en="refuse"),
    "refused": Text(zh="已拒绝", en="refused"),
    "register": Text(zh="登记", en="register"),
    "register_department": Text(zh="登记部门", en="register the department"),
    "register_key": Text(zh="登记密钥", en="register a key"),
    "register_recipient_key": Text(zh="登记收件密钥", en="register a recipient key"),
    "register_sealing_key": Text(zh="登记密封公钥", en="register a sealing key"),
    "registered": Text(zh="已注册", en="registered"),
    "reject": Text(zh="拒绝", en="reject"),
    "rejected": Text(zh="已拒绝", en="rejected"),
    "reply": Text(zh="逾期答复", en="overdue reply"),
    "request": Text(zh="申请共享", en="request sharing"),
    "resume": Text(zh="恢复", en="resume"),
    "retire": Text(zh="注销", en="retire"),
    "retired": Text(zh="已注销", en="retired"),
    "return": Text(zh="退回修改", en="return"),
    "returned": Text(zh="退回修改", en="returned"),
    "review": Text(zh="逾期审核", en="overdue review"),
    "revise": Text(zh="修订", en="revise"),
    "revoke_key": Text(zh="撤销密钥", en="revoke a key"),
    "revoke_recipient_key": Text(zh="撤销收件密钥", en="revoke a recipient key"),
    "run": Text(zh="运行", en="run"),
    "run_done": Text(zh="运行完成", en="run done"),
    "seal": Text(zh="密封转交密钥", en="seal the secret"),
    "send": Text(zh="发送文件", en="send"),
    "settle": Text(zh="达成一致", en="settle"),
    "share": Text(zh="改为共享获取", en="obtain by sharing"),
    "sign_off": Text(zh="负责人签批", en="sign off"),
    "sign": Text(zh="签署", en="sign"),
    "snapshot": Text(zh="全量", en="snapshot"),
    "state": Text(zh="陈述", en="make a statement"),
    "submit": Text(zh="提交", en="submit"),
    "submitted": Text(zh="已提交", en="submitted"),
    "subscribe": Text(zh="加入订阅", en="subscribe"),
    "suspend": Text(zh="中止", en="suspend"),
    "suspended": Text(zh="已中止", en="suspended"),
    "take": Text(zh="生成草图", en="take sketches"),
    "terminate": Text(zh="终止", en="terminate"),
    "terminated": Text(zh="已终止", en="terminated"),
    "transfer": Text(zh="传输延误", en="late transfer"),
    "unpublish": Text(zh="取消发布", en="cancel publication"),
    "unsubscribe": Text(zh="退出订阅", en="unsubscribe"),
    "uphold": Text(zh="异议成立", en="uphold the objection"),
    "verify": Text(zh="核验", en="verify"),
    "weekly": Text(zh="每周", en="weekly"),
    "withdraw": Text(zh="撤回", en="withdraw"),
    "withdrawn": Text(zh="已撤回", en="withdrawn"),
    "yearly": Text(zh="每年", en="yearly"),
    "accept": Text(zh="认可有误", en="accept"),
    "accepted": Text(zh="已认可，待更正", en="accepted"),
    "close": Text(zh="确认办结", en="close"),
    "corrected": Text(zh="已更正", en="corrected"),
    "correction": Text(zh="逾期校核", en="overdue correction"),
    "dispute": Text(zh="退回重核", en="send back"),
    "report": Text(zh="提出校核", en="report"),
    "reported": Text(zh="待核实", en="reported"),
    "see": Text(zh="平台见到更正", en="correction seen"),
}
"""What coded values are called."""

"""Names for what other packages know by a code only: kinds of evidence, actors, builds, uses."""

from collections.abc import Mapping

from datong.kernel import Text
from datong.library import SURVIVORSHIP_NAMES
from datong.norms import IndicatorGroup, QualityFlag

ENTRY_KINDS: Mapping[str, Text] = {
    "catalogue.step": Text(zh="目录操作", en="Catalogue act"),
    "catalogue.sketch_key": Text(zh="草图密钥", en="Sketch key"),
    "catalogue.sketch": Text(zh="数据草图", en="Data sketch"),
    "catalogue.source": Text(zh="数源认定", en="Source department"),
    "catalogue.service_item": Text(zh="服务事项", en="Service item"),
    "catalogue.inventory": Text(zh="摸清家底", en="Inventory"),
    "catalogue.drift": Text(zh="数据源变化", en="Drift of a source"),
    "catalogue.foreign": Text(zh="外来目录", en="Entry from elsewhere"),
    "catalogue.vocabulary": Text(zh="检索词表", en="Vocabulary"),
    "catalogue.demand": Text(zh="未满足的需求", en="Unmet demand"),
    "catalogue.key": Text(zh="部门密钥", en="Department key"),
    "federation.harvest": Text(zh="目录采集", en="Harvest"),
    "federation.cascade": Text(zh="上下级平台", en="Other hub"),
    "ledger.key": Text(zh="日志密钥", en="Key of the log"),
    "ledger.shard": Text(zh="日志分片", en="Shard of the log"),
    "sharing.request": Text(zh="共享申请", en="Request"),
    "sharing.decision": Text(zh="申请答复", en="Reply"),
    "sharing.agreement": Text(zh="共享协议", en="Agreement"),
    "exchange.task": Text(zh="交换任务", en="Transfer task"),
    "exchange.batch": Text(zh="传输批次", en="Batch"),
    "exchange.receipt": Text(zh="接收回执", en="Receipt"),
    "exchange.dead_letters": Text(zh="被拒收的行", en="Rejected rows"),
    "exchange.file": Text(zh="文件交换", en="File"),
    "exchange.reconciliation": Text(zh="对账", en="Reconciliation"),
    "library.dataset": Text(zh="资源库发布", en="Dataset"),
    "library.definition": Text(zh="资源库定义", en="Library definition"),
    "library.weights": Text(zh="从决定学到的权重", en="Weights learned from decisions"),
    "library.retention": Text(zh="版本保存与销毁", en="Retention and disposal"),
    "library.link_decision": Text(zh="核对决定", en="Decision on a pair"),
    "library.correction": Text(zh="校核", en="Correction"),
    "sharing.service_case": Text(zh="事项办理", en="Case of a service"),
    "sharing.application": Text(zh="应用", en="Application"),
    "sharing.consent": Text(zh="本人同意", en="Consent"),
    "sharing.account": Text(zh="账号", en="Account"),
    "sharing.delegation": Text(zh="代办委托", en="Delegation"),
    "sharing.disclosure": Text(zh="延后告知", en="Delayed disclosure"),
    "sharing.wish": Text(zh="公众数据需求", en="Wish of the public"),
    "sharing.objection": Text(zh="使用异议", en="Objection to a use"),
    "sharing.subscription": Text(zh="变更订阅", en="Subscription"),
    "sharing.profile": Text(zh="共享凭据文件", en="Sharing profile"),
    "sharing.outage": Text(zh="中断", en="Outage"),
    "sharing.live": Text(zh="实时接口", en="Live interface"),
    "sharing.mask_key": Text(zh="脱敏密钥", en="Masking key"),
    "sharing.matching": Text(zh="隐私求交", en="Private matching"),
    "sharing.release": Text(zh="数据开放", en="Open release"),
    "sharing.statistic": Text(zh="差分隐私统计", en="Private statistic"),
    "sharing.access": Text(zh="数据调用", en="Access"),
    "sharing.failure": Text(zh="调用失败", en="Failed calls"),
    "sharing.refusal": Text(zh="拒绝调用", en="Refusal"),
    "governance.alarm": Text(zh="异常预警", en="Alarm"),
    "governance.meeting": Text(zh="联席会议", en="Joint meeting"),
    "governance.assignment": Text(zh="交办事项", en="Assignment"),
    "governance.incident": Text(zh="联动事件", en="Incident"),
    "governance.staff": Text(zh="人员登记", en="Register of staff"),
    "governance.rating": Text(zh="评价", en="Rating"),
    "governance.notification": Text(zh="发出的提醒", en="Message to somebody"),
    "governance.finding": Text(zh="责任认定", en="Finding"),
    "governance.case": Text(zh="协调事项", en="Case"),
    "governance.indicator": Text(zh="绩效指标", en="Indicator"),
}
ACTORS: Mapping[str, Text] = {
    "person": Text(zh="人员", en="person"),
    "node": Text(zh="节点", en="node"),
    "application": Text(zh="应用", en="application"),
    "sandbox": Text(zh="沙箱应用", en="application in the sandbox"),
    "citizen": Text(zh="自然人", en="citizen"),
    "platform": Text(zh="平台", en="platform"),
}
SURVIVORSHIP = SURVIVORSHIP_NAMES
RULE_VERDICTS: Mapping[str, Text] = {
    "pass": Text(zh="符合", en="met"),
    "fail": Text(zh="不符合", en="not met"),
    "unknown": Text(zh="待核实", en="to be verified"),
}
RULE_RELATIONS: Mapping[str, Text] = {
    "at_most": Text(zh="不高于", en="at most"),
    "at_least": Text(zh="不低于", en="at least"),
    "below": Text(zh="低于", en="below"),
    "above": Text(zh="高于", en="above"),
    "equal": Text(zh="为", en="equal to"),
    "differ": Text(zh="不为", en="other than"),
}
QUALITY_FLAGS: Mapping[str, Text] = {flag.value: flag.label for flag in QualityFlag}
LINK_RULES: Mapping[str, Text] = {
    "decision": Text(zh="人工认定", en="decided by a person"),
    "anchor": Text(zh="有效证号的参照记录", en="reference record with a valid identifier"),
    "identifier": Text(zh="有效证号相同", en="same valid identifier"),
    "similarity": Text(zh="多字段相似", en="alike in several fields"),
    "single": Text(zh="单独成实体", en="an entity of its own"),
    "ambiguous": Text(zh="证据不足，待人工核对", en="not certain enough, to be reviewed"),
    "code": Text(zh="代码唯一确定", en="by its unique code"),
    "derived": Text(zh="派生", en="derived"),
}
REVIEW_REASONS: Mapping[str, Text] = {
    "near": Text(zh="略低于合并的门槛", en="Just below the threshold"),
    "ambiguous": Text(zh="有两个同样合适的对象", en="Two candidates fit equally well"),
    "identifiers": Text(zh="很像，但有效证号不同", en="Alike, but with different valid identifiers"),
    "decided": Text(zh="合并会违背此前的决定", en="Joining would go against an earlier decision"),
    "cap": Text(zh="合并后一个实体的记录过多", en="Joined, the entity would have too many records"),
    "distrusted": Text(zh="有效证号相同，但不像同一个", en="The same valid identifier, but not alike"),
}
COMPARISONS: Mapping[str, Text] = {
    "name": Text(zh="姓名", en="Name"),
    "birth": Text(zh="出生日期", en="Date of birth"),
    "sex": Text(zh="性别", en="Sex"),
    "identifier": Text(zh="证件号码", en="Identifier"),
    "phone": Text(zh="电话", en="Telephone"),
    "address": Text(zh="地址", en="Address"),
    "household": Text(zh="户号", en="Household"),
}
COMPARED_LEVELS: Mapping[str, Text] = {
    "missing": Text(zh="至少一方没有", en="one side has none"),
    "exact": Text(zh="相同", en="equal"),
    "edits": Text(zh="只差一两个字符", en="one or two characters differ"),
    "characters": Text(zh="只差个别字", en="single characters differ"),
    "prefix": Text(zh="开头相同", en="the same beginning"),
    "else": Text(zh="不同", en="different"),
}
INDICATOR_GROUPS: Mapping[str, Text] = {
    IndicatorGroup.READINESS: Text(zh="就绪度", en="Readiness"),
    IndicatorGroup.STANDARDISATION: Text(zh="标准化", en="Standardisation"),
    IndicatorGroup.TIMELINESS: Text(zh="及时性", en="Timeliness"),
    IndicatorGroup.STAFF: Text(zh="人员", en="Staff"),
    IndicatorGroup.QUALITY: Text(zh="质量", en="Quality"),
    IndicatorGroup.EFFECT: Text(zh="成效", en="Effect"),
    IndicatorGroup.SECURITY: Text(zh="安全", en="Security"),
}
BUILD_STATES: Mapping[str, Text] = {
    "requested": Text(zh="待构建", en="requested"),
    "running": Text(zh="构建中", en="running"),
    "published": Text(zh="已发布", en="published"),
    "failed": Text(zh="失败", en="failed"),
}
BUILD_STEPS: Mapping[str, Text] = {
    "conform": Text(zh="标准化", en="conform"),
    "link": Text(zh="关联", en="link"),
    "fuse": Text(zh="融合", en="fuse"),
    "derive": Text(zh="派生", en="derive"),
    "publish": Text(zh="发布", en="publish"),
}
AGREEMENT_STEPS: Mapping[str, Text] = {
    "draw_up": Text(zh="拟定", en="Drawn up"),
    "confirm": Text(zh="确认", en="Confirmed"),
    "sign": Text(zh="签署", en="Signed"),
    "suspend": Text(zh="中止", en="Suspended"),
    "resume": Text(zh="恢复", en="Resumed"),
    "terminate": Text(zh="终止", en="Terminated"),
    "expire": Text(zh="到期", en="Expired"),
    "renew_keys": Text(zh="更换脱敏密钥", en="Keys of the masks renewed"),
    "withdraw": Text(zh="需求部门退出", en="Given up by the consumer"),
    "dispose": Text(zh="告知数据处置", en="Disposal told"),
    "remind": Text(zh="提醒时限将到", en="Reminded that the term ends"),
    "propose": Text(zh="提议变更", en="Change proposed"),
    "confirm_amendment": Text(zh="确认变更", en="Change confirmed"),
    "sign_amendment": Text(zh="签署变更", en="Change signed"),
    "amend": Text(zh="新版本生效", en="New version in force"),
    "withdraw_amendment": Text(zh="撤回变更", en="Change taken back"),
    "decline_amendment": Text(zh="不同意变更", en="Change declined"),
    "lapse_amendment": Text(zh="变更失效", en="Change lapsed"),
}
APPLICATION_STEPS: Mapping[str, Text] = {
    "create": Text(zh="登记", en="Created"),
    "register": Text(zh="提交审核", en="Registered for review"),
    "submit": Text(zh="重新提交", en="Submitted again"),
    "approve": Text(zh="通过", en="Approved"),
    "return": Text(zh="退回", en="Returned"),
    "suspend": Text(zh="暂停", en="Suspended"),
    "resume": Text(zh="恢复", en="Resumed"),
    "retire": Text(zh="下线", en="Retired"),
    "revoke": Text(zh="作废", en="Revoked"),
    "bind": Text(zh="绑定协议", en="Agreements bound"),
    "issue_key": Text(zh="签发密钥", en="Key issued"),
    "revoke_key": Text(zh="作废密钥", en="Key revoked"),
}
WISH_STEPS: Mapping[str, Text] = {
    "make": Text(zh="提出", en="Filed"),
    "admit": Text(zh="审核公示", en="Admitted"),
    "reject": Text(zh="未通过审核", en="Not admitted"),
    "assign": Text(zh="交办", en="Assigned"),
    "hand_back": Text(zh="退回主管部门", en="Handed back"),
    "plan": Text(zh="答应开放", en="Promised"),
    "point": Text(zh="已有数据", en="It is there"),
    "decline": Text(zh="不予开放", en="Declined"),
    "publish": Text(zh="已开放", en="Opened"),
    "withdraw": Text(zh="撤回", en="Withdrawn"),
}
EXTENSIONS: Mapping[str, Text] = {
    "none": Text(zh="未延期", en="no extension"),
    "asked": Text(zh="已申请延期，待主管部门同意", en="extension asked for; the authority has to consent"),
    "consented": Text(zh="主管部门同意延期", en="extension consented"),
    "denied": Text(zh="主管部门不同意延期", en="extension denied"),
}
USES: Mapping[str, Text] = {
    "query": Text(zh="查询", en="query"),
    "verify": Text(zh="核验", en="verification"),
    "block": Text(zh="块数据", en="block data"),
    "table": Text(zh="整表共享", en="shared table"),
    "event": Text(zh="变更推送", en="event"),
    "file": Text(zh="文件下载", en="downloaded file"),
}

"""What the console says after an act succeeded; the act redirects to a page with the notice's name."""

from collections.abc import Mapping

from datong.kernel import Text

NOTICES: Mapping[str, Text] = {
    "tour": Text(
        zh="导览走完了。点任意页面的问号，可以再走一遍。",
        en="That was the tour. The ? of any page begins it again.",
    ),
    "resource": Text(zh="目录操作已完成并存证。", en="The catalogue act is done and on record."),
    "revised": Text(
        zh="已按新结构起草新版本，请核对后提交。",
        en="A new version was drafted from the new structure: check and submit it.",
    ),
    "vocabulary": Text(
        zh="词表已更新并存证，检索即时生效。", en="The vocabulary is updated and on record; searches know it at once."
    ),
    "demand": Text(zh="处理情况已记录并存证。", en="What becomes of the need is on record."),
    "session_ended": Text(zh="该处登录已结束。", en="You are signed out there."),
    "sessions_ended": Text(zh="其他各处登录都已结束。", en="You are signed out everywhere else."),
    "identity_linked": Text(
        zh="已关联并存证，今后可以这样登录。", en="Linked and on record: you can sign in by it now."
    ),
    "identity_unlinked": Text(zh="关联已解除并存证。", en="The link is cut; that is on record."),
    "passkey_added": Text(zh="通行密钥已登记并存证。", en="The passkey is added; that is on record."),
    "passkey_renamed": Text(zh="通行密钥已改名。", en="The passkey has its new name."),
    "passkey_removed": Text(zh="通行密钥已移除并存证。", en="The passkey is removed; that is on record."),
    "password": Text(
        zh="密码已更改，其他各处登录都已结束。", en="The password is changed; you are signed out everywhere else."
    ),
    "substitute_proposed": Text(
        zh="已委托并存证，对方接受后生效。", en="Appointed and on record; it holds once your colleague has accepted."
    ),
    "substitute_appointed": Text(zh="已指定代办人并存证。", en="The substitute is appointed; that is on record."),
    "substitute_accept": Text(zh="已接受并存证，到期自动结束。", en="Accepted and on record; it ends by itself."),
    "substitute_decline": Text(zh="已谢绝并存证。", en="Declined; that is on record."),
    "substitute_withdraw": Text(zh="委托已撤回并存证，立即失效。", en="Withdrawn and on record; it has ended."),
    "webhook_paused": Text(
        zh="订阅已暂停并存证；恢复后补发期间的更新。",
        en="Paused, on record; what is published meanwhile is told when it goes on.",
    ),
    "webhook_resumed": Text(zh="订阅已恢复并存证。", en="It goes on; that is on record."),
    "webhook_tried": Text(
        zh="已试发一条不含数据的消息，结果见下。", en="A message without data was sent; the answer is below."
    ),
    "webhook_again": Text(
        zh="未送达的消息已重新排队并存证。", en="What was dead is to be sent again; that is on record."
    ),
    "webhook_ended": Text(zh="订阅已结束并存证。", en="The subscription has ended; that is on record."),
    "requested": Text(
        zh="申请已提交。无条件共享的数据项当即同意，其余等待提供部门答复。",
        en="Submitted. Unconditional items are granted at once; the others wait for the provider's reply.",
    ),
    "decided": Text(zh="答复已记录并存证。", en="The reply is recorded and on record."),
    "confirmed": Text(
        zh="协议已确认，部门节点将用本部门密钥签署。",
        en="Confirmed; your department's node will sign it with the department's key.",
    ),
    "proposed": Text(
        zh="变更已提议并存证，双方确认、签署后生效；此前现行条款不变。",
        en="Proposed and on record. It holds once both sides have confirmed and signed; until then nothing changes.",
    ),
    "agreement": Text(zh="协议状态已变更并存证。", en="The agreement's state was changed and put on record."),
    "schema": Text(
        zh="新的结构已接受并存证，任务继续。", en="The new structure is accepted and on record; the task goes on."
    ),
    "task": Text(zh="交换任务已更新。", en="The transfer task was updated."),
    "task_run": Text(zh="已通知节点开始传输。", en="The nodes were told to run the transfer."),
    "file_withdrawn": Text(zh="文件已撤回并存证，内容已删除。", en="Taken back, deleted and put on record."),
    "live": Text(zh="实时接口已开通并存证。", en="The live interface is offered and on record."),
    "live_ended": Text(zh="实时接口已停用并存证。", en="The live interface has ended; that is on record."),
    "reconciled": Text(zh="已要求两端重新计数、计算摘要。", en="Both ends were asked for counts and digests."),
    "repair_approved": Text(
        zh="修复已批准并存证，节点即将执行。", en="The repair is approved and on record; the nodes will do it."
    ),
    "replay": Text(
        zh="重放已登记并存证，接收节点即将执行。", en="The replay is on record; the receiving node will do it."
    ),
    "build": Text(zh="已开始构建，进度会自动刷新。", en="The build has started; progress refreshes by itself."),
    "definition": Text(zh="定义已生效并存证。", en="The definition is in force and on record."),
    "weights": Text(zh="权重已记录并存证。", en="The weights are on record."),
    "released": Text(zh="已开放并存证。", en="It is released and on record."),
    "answered": Text(zh="回答已存证，预算已扣减。", en="The answer is on record; the budget has paid for it."),
    "budget": Text(zh="预算已授予并存证。", en="The budget is granted and on record."),
    "retention": Text(zh="保存规则已记录并存证。", en="The retention is on record."),
    "notices_read": Text(zh="已全部标为已读。", en="All are marked as read."),
    "notices_marked": Text(zh="所勾选的已标为已读。", en="The ticked ones are marked as read."),
    "notices_unread": Text(zh="已恢复为未读。", en="They are unread again."),
    "none_ticked": Text(zh="没有勾选。", en="Nothing is ticked."),
    "notice_settings": Text(zh="提醒设置已保存。", en="The settings are kept."),
    "notice_address": Text(zh="邮箱已确认。", en="The address is confirmed."),
    "meeting": Text(zh="会议已更新并存证。", en="The meeting was changed; that is on record."),
    "assignment": Text(zh="办理情况已记录并存证。", en="That is recorded and on record."),
    "staff": Text(zh="人员登记已更新并存证。", en="The register of staff was changed; that is on record."),
    "rating": Text(zh="评价已记录并存证。", en="The rating is on record."),
    "incident": Text(zh="事件已更新并存证。", en="The incident was changed; that is on record."),
    "case_opened": Text(
        zh="已立案并存证，对方和主管部门会收到提醒。", en="The case is open and on record; those concerned are told."
    ),
    "case": Text(zh="处理意见已记录并存证。", en="The act is recorded and on record."),
    "review": Text(zh="决定已记录并存证，下次构建执行。", en="The decision is on record; the next build keeps to it."),
    "correction": Text(zh="校核已记录并存证。", en="That is recorded and on record."),
    "source": Text(zh="数源认定已变更并存证。", en="The source was changed and put on record."),
    "objection": Text(
        zh="异议已提交并存证，等待主管部门答复。", en="The objection is on record and waits for the authority's answer."
    ),
    "objection_answered": Text(zh="异议已答复并存证。", en="The objection was answered; it is on record."),
    "epoch_ended": Text(
        zh="草图密钥周期已结束，前置机将生成新密钥。", en="The sketch epoch ended; the nodes will make a new secret."
    ),
    "service_items": Text(zh="事项已导入并存证。", en="The service items were imported and put on record."),
    "service_item": Text(zh="事项已变更并存证。", en="The service item was changed and put on record."),
    "application": Text(zh="应用已更新并存证。", en="The application was updated; that is on record."),
    "use_objection": Text(
        zh="异议已提交并存证，使用部门将在期限内答复。",
        en="Your objection is on record; the department answers in time.",
    ),
    "use_objection_ended": Text(zh="异议已办结并存证。", en="The objection has ended; that is on record."),
    "view_saved": Text(zh="视图已保存。", en="The view is kept."),
    "view_dropped": Text(zh="视图已删除。", en="The view is deleted."),
    "wish": Text(
        zh="需求已提交并存证，审核后公示。", en="Your wish is on record; it stands on the wall once it was read."
    ),
    "wish_joined": Text(zh="已支持。", en="You joined this wish."),
    "wish_left": Text(zh="已取消支持。", en="You took your support back."),
    "wish_withdrawn": Text(zh="需求已撤回并存证。", en="The wish was withdrawn; that is on record."),
    "wish_acted": Text(zh="办理情况已记录、存证并告知公众。", en="That is on record, and the public sees it."),
    "consent": Text(zh="已记录并存证，即时生效。", en="That is on record and holds at once."),
    "consent_asked": Text(zh="已记录并存证。", en="That is on record."),
    "matching": Text(zh="已记录并存证。", en="That is on record."),
    "hold": Text(zh="延后告知的决定已存证。", en="The order is on record."),
    "monitor": Text(zh="监测已运行。", en="The monitor has run."),
    "alarm": Text(zh="预警的处理已存证。", en="The decision on the alarm is on record."),
    "harvest": Text(zh="采集来源已更新并存证。", en="The source was changed and put on record."),
    "cascade": Text(zh="级联设置已更新并存证。", en="The link was changed and put on record."),
    "exchanged": Text(zh="交换完成，结果见下。", en="Exchanged; see the result below."),
    "enrolled": Text(zh="注册令牌已签发。", en="The enrolment token was issued."),
}

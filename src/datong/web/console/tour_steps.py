"""The guided tours: for each kind of people the steps of their main day, each pointing at an element of a page.

`target` is the id of an element that the page has whether or not it has data; a test opens every step's page.
"""

from datong.kernel import Text, Value
from datong.sharing import Principal, Role


class Step(Value):
    """A step: on which page, at which element, what to say."""

    address: str
    target: str
    title: Text
    text: Text

    @property
    def path(self) -> str:
        """The path of the page, without its filters."""
        return self.address.partition("?")[0]


class Tour(Value):
    """The tour of a role."""

    name: str
    role: Role
    title: Text
    steps: tuple[Step, ...]


def _step(address: str, target: str, title: tuple[str, str], text: tuple[str, str]) -> Step:
    """Return a step; its title and text are given in Chinese and in English."""
    (title_zh, title_en), (text_zh, text_en) = title, text
    return Step(address=address, target=target, title=Text(zh=title_zh, en=title_en), text=Text(zh=text_zh, en=text_en))


_DUTIES = _step(
    "/",
    "duties",
    ("早上先看这里", "Begin here in the morning"),
    (
        "等您办理的事，按剩余工作日排列，逾期的标红。点开一件，就到了一个按钮能办完的页面。",
        "What waits for you, by working days left, red when overdue. A line leads to where one button does it.",
    ),
)
_HELP = _step(
    "/",
    "help-mark",
    ("随时可以问", "Ask at any time"),
    (
        "每一页的这个问号打开该页的说明。按 / 可以搜索全平台。导览到此结束。",
        "On each page this mark opens the help about it. Press / to search everywhere. That was the tour.",
    ),
)

TOURS = (
    Tour(
        name="authority",
        role=Role.AUTHORITY,
        title=Text(zh="主管部门的一天", en="The authority's day"),
        steps=(
            _DUTIES,
            _step(
                "/catalogue/work",
                "work",
                ("审核目录", "Review entries"),
                (
                    "两个工作日内审核。“审核”打开检查表，意见写在字段旁。",
                    "Within two working days. Review opens the checklist; comments go beside the fields.",
                ),
            ),
            _step(
                "/requests?show=overdue",
                "requests",
                ("谁没有按时答复", "Who did not answer in time"),
                ("逾期责任具名，可以转为协调事项。", "Who is late is named; it can become a case."),
            ),
            _step(
                "/cases",
                "cases",
                ("谈不拢的事", "What departments cannot settle"),
                (
                    "双方协商、主管部门协调、政府决定，每个阶段有期限。",
                    "Negotiation, then you, then the government; each stage has its limit.",
                ),
            ),
            _step(
                "/wishes",
                "wishes",
                ("公众要什么", "What the public asks for"),
                ("先审核，再交办到部门。", "Read it, then assign it to a department."),
            ),
            _step(
                "/governance",
                "ranking",
                ("共享得怎么样", "How sharing goes"),
                ("每个数字都能点开看到存证。", "Every figure opens down to its evidence."),
            ),
            _HELP,
        ),
    ),
    Tour(
        name="auditor",
        role=Role.AUDITOR,
        title=Text(zh="审计人员的一天", en="The auditor's day"),
        steps=(
            _step(
                "/",
                "sample",
                ("自己抽样", "Draw your own sample"),
                (
                    "种子由您定，样本由日志定，谁也挑选不了。",
                    "You choose the seed, the log gives the sample: nobody can pick.",
                ),
            ),
            _step(
                "/",
                "checks",
                ("不依赖平台核查", "Check without the platform"),
                ("下载程序和日志，在自己的机器上核验。", "Take program and log, and verify on your own machine."),
            ),
            _step(
                "/evidence",
                "entries",
                ("一条一条看", "Entry by entry"),
                (
                    "每条都有包含证明；日志里没有个人信息。",
                    "Each has a proof of inclusion; the log holds no personal data.",
                ),
            ),
            _step(
                "/governance/findings",
                "findings",
                ("谁该负责", "Who is liable"),
                (
                    "由规则按存证计算，同样的证据总得到同样的结论。",
                    "Rules compute it: the same evidence, the same finding.",
                ),
            ),
            _step(
                "/governance",
                "ranking",
                ("数字从哪里来", "Where figures come from"),
                ("从排名一直点到背后的存证。", "Go from the ranking down to the entries behind it."),
            ),
            _HELP,
        ),
    ),
    Tour(
        name="operator",
        role=Role.OPERATOR,
        title=Text(zh="运维人员的一天", en="The operator's day"),
        steps=(
            _step(
                "/",
                "troubles",
                ("先看出了什么问题", "What went wrong comes first"),
                (
                    "每件写明原因、怎么办；一次点击能解决的，按钮就在旁边。",
                    "Each with its reason, what to do and, where a click helps, that click.",
                ),
            ),
            _step(
                "/",
                "queues",
                ("队列", "Queues"),
                ("等待处理的有多少、等了多久。", "How much waits, and for how long."),
            ),
            _step(
                "/",
                "room",
                ("空间", "Room"),
                ("磁盘、数据库和日志还有多少余地。", "What is left on the disk, and what takes it."),
            ),
            _step(
                "/transfers",
                "tasks",
                ("交换是否落后", "Whether transfers are behind"),
                (
                    "勾选多个可以一并运行、暂停、恢复、对账。",
                    "Tick several to run, pause, resume or reconcile them together.",
                ),
            ),
            _step(
                "/departments",
                "departments",
                ("节点还在吗", "Whether nodes are there"),
                (
                    "节点只向外连接。没有消息的会标出来。",
                    "Nodes only call out. One that was not heard of is marked.",
                ),
            ),
            _HELP,
        ),
    ),
    Tour(
        name="data-officer",
        role=Role.DATA_OFFICER,
        title=Text(zh="数据管理员的一天", en="The data officer's day"),
        steps=(
            _DUTIES,
            _step(
                "/",
                "starts",
                ("最常做的事", "What you do most"),
                (
                    "申请数据、发布资源、看交换是否正常、答复数据差错，都从这里一次点击开始。",
                    "Requesting data, publishing, looking after transfers, answering reports: one click from here.",
                ),
            ),
            _step(
                "/requests?show=received",
                "requests",
                ("别的部门需要什么", "What others need"),
                (
                    "收到的申请在十个工作日内答复。点开一件，在右侧办理；不同意要写明依据。",
                    "Answer within ten working days. Open one and act at the right; a refusal names its clause.",
                ),
            ),
            _step(
                "/catalogue/work",
                "work",
                ("把目录编好", "Describe what you have"),
                (
                    "节点盘点出的草稿在这里完善、签批、提交。勾选多条可以一并办理，先看预览再确认。",
                    "Drafts are completed here, signed off, submitted. Tick several: preview, then confirm.",
                ),
            ),
            _step(
                "/transfers",
                "tasks",
                ("数据是否按时到达", "Whether data arrives on time"),
                (
                    "失败的排在最前，写明原因和办法。列表自动更新。",
                    "Failed ones come first, with reason and remedy. The list follows by itself.",
                ),
            ),
            _step(
                "/corrections?show=waiting",
                "corrections",
                ("有人说数据不对", "Somebody says that data is wrong"),
                (
                    "受理后在本部门的数据库里更正；更正后的值到达时自动办结。",
                    "Accept, and correct it in your own database; it closes itself when the corrected value arrives.",
                ),
            ),
            _step(
                "/evidence?kind=sharing.access",
                "entries",
                ("谁用了我们的数据", "Who used our data"),
                (
                    "每一次调用都在这里，可以下载证明，不必相信平台。",
                    "Every call, each with a proof that holds without trusting the platform.",
                ),
            ),
            _HELP,
        ),
    ),
    Tour(
        name="business-clerk",
        role=Role.BUSINESS,
        title=Text(zh="业务人员的一天", en="The business clerk's day"),
        steps=(
            _step(
                "/",
                "starts",
                ("从“我需要”开始", "From “I need this”"),
                ("一次点击就能申请数据。", "One click begins a request for data."),
            ),
            _step(
                "/catalogue",
                "search",
                ("先找一找", "Look for it first"),
                (
                    "简繁体、拼音和同义词都能识别。没有结果的检索会告知主管部门。",
                    "Both scripts, pinyin and synonyms are understood. What finds nothing is told to the authority.",
                ),
            ),
            _step(
                "/requests/new",
                "choose",
                ("选择资源", "Choose resources"),
                ("一张表可以申请多个部门的资源。", "One form asks several departments."),
            ),
            _step(
                "/requests/new",
                "purpose",
                ("说明用途", "Say what for"),
                (
                    "事项、依据、期限。缺什么一次全部告知，填过的保留。",
                    "The matter, its basis, how long. What is missing is told all at once; what you typed is kept.",
                ),
            ),
            _step(
                "/requests?show=sent",
                "requests",
                ("办到哪一步了", "How far it is"),
                (
                    "无条件共享的当即同意，其余十个工作日内答复。",
                    "Unconditional items are granted at once, the others answered within ten working days.",
                ),
            ),
            _step(
                "/agreements",
                "agreements",
                ("用起来", "Use it"),
                (
                    "协议生效后，在协议页点“试用接口”，得到第一次回答。",
                    "Once an agreement is in force, Try it on its page gives the first answer.",
                ),
            ),
            _step(
                "/corrections",
                "corrections",
                ("数据不对就说", "Say when data is wrong"),
                ("数源部门十个工作日内核实更正。", "Its source has ten working days to verify and correct."),
            ),
            _HELP,
        ),
    ),
    Tour(
        name="department-head",
        role=Role.DEPARTMENT_HEAD,
        title=Text(zh="部门负责人的一天", en="The head of department's day"),
        steps=(
            _DUTIES,
            _step(
                "/catalogue/work?state=draft",
                "work",
                ("签批目录", "Sign off the catalogue"),
                (
                    "目录由您签批后才能提交。勾选多条，填写职务，先看预览再确认；签批后再修改，签批即失效。",
                    "Entries are submitted once you signed them off. Tick several, preview, confirm; changes void it.",
                ),
            ),
            _step(
                "/requests?show=received",
                "requests",
                ("答复是否按期", "Whether answers are on time"),
                (
                    "别的部门等本部门答复的申请，逾期的标红，逾期责任具名。",
                    "What others wait for from your department, red when overdue: who is late is named.",
                ),
            ),
            _step(
                "/meetings",
                "meetings",
                ("会议和交办事项", "Meetings and assignments"),
                (
                    "在这里答复邀请、看会议纪要；交办给本部门的事项按期签收、报告。",
                    "Answer invitations, read minutes; acknowledge and report what was assigned to the department.",
                ),
            ),
            _step(
                "/staff",
                "staff",
                ("谁在岗、谁持证", "Who is assigned, who is certified"),
                (
                    "人员、培训和证书由您登记，可以导入表格；证书到期前会提醒。",
                    "You keep people, trainings, certificates; you are told before a certificate ends.",
                ),
            ),
            _step(
                "/account/substitutes",
                "substitutes",
                ("有人不在岗", "When somebody is away"),
                (
                    "您可以为本部门的人指定代办人，立即生效；每一步都注明是代办。",
                    "Appoint a substitute for anybody of the department; it holds at once, and every act is marked.",
                ),
            ),
            _step(
                "/governance",
                "ranking",
                ("本部门排在哪里", "Where the department stands"),
                (
                    "点开本部门的每个数字，可以一直看到背后的存证；不服可以提请协调。",
                    "Each figure of yours opens down to its evidence; what you dispute can become a case.",
                ),
            ),
            _HELP,
        ),
    ),
    Tour(
        name="citizen",
        role=Role.CITIZEN,
        title=Text(zh="我的数据，谁在用", en="My data and who uses it"),
        steps=(
            _step(
                "/me",
                "uses",
                ("谁用了我的数据", "Who used my data"),
                (
                    "每一次使用：哪个部门、为什么、什么时候。每条都有证明，可以提出异议。",
                    "Every use: which department, for what, when. Each has a proof, and you may object.",
                ),
            ),
            _step(
                "/me/record",
                "record",
                ("登记了我的什么", "What is recorded about me"),
                ("发现有误，在这里请求更正。", "If something is wrong, ask for a correction here."),
            ),
            _step(
                "/me/consents",
                "consents",
                ("我同意了什么", "What I consented to"),
                ("同意可以随时撤回，下一次调用起生效。", "Withdraw whenever you like; it holds from the next call."),
            ),
            _step(
                "/open",
                "search",
                ("开放的数据", "Open data"),
                ("先看几行，再下载，或者用程序读取。", "Look at rows, download, or read it with a program."),
            ),
            _step(
                "/open/demand",
                "wishes",
                ("没有的，就提出来", "Ask for what is not there"),
                (
                    "支持的人越多越先办理，部门按期答复。",
                    "The more join, the sooner; departments answer by a deadline.",
                ),
            ),
        ),
    ),
)
"""In this order: who has several roles, as the authority is a department too, is offered the first of them."""


def tour_for(principal: Principal | None) -> Tour | None:
    """Return the tour of somebody's role; of several the first in the order above, None where no role has one."""
    if principal is None:
        return None
    return next((tour for tour in TOURS if tour.role in principal.roles), None)

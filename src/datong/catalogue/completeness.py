"""What a resource must say before it may be submitted: the complete list of what is missing, never only the first."""

import re
from collections import Counter

from datong.catalogue.values import Assessment, AssessmentConclusion, Item, ResourceContent
from datong.kernel import Text
from datong.norms import NormPack, ResourceFormat, ShareType, validate_division_code

Problem = tuple[str, Text]
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_CLASSIFICATION = re.compile(r"[123]\d{2}\d{3}(\w*)", re.ASCII)


def content_problems(content: ResourceContent, pack: NormPack) -> tuple[Problem, ...]:
    """Return every problem as (JSON pointer into the content, what is wrong); empty when it may be submitted."""
    problems: list[Problem] = []
    if not content.title.zh.strip():
        problems.append(("/title", Text(zh="缺少资源名称", en="the title is missing")))
    if not content.summary.zh.strip():
        problems.append(("/summary", Text(zh="缺少资源摘要", en="the summary is missing")))
    problems.extend(_classification(content, pack))
    if not content.items:
        problems.append(("/items", Text(zh="没有信息项", en="there are no items")))
    if content.binding is None and content.format in (ResourceFormat.DATABASE, ResourceFormat.SPREADSHEET):
        problems.append(("/binding", Text(zh="没有挂接数据源", en="no data source is bound")))
    problems.extend(_sharing(content))
    for index, item in enumerate(content.items):
        problems.extend(_item(f"/items/{index}", item, pack))
    problems.extend(_repeated("name", [item.name.zh for item in content.items]))
    problems.extend(_repeated("column", [item.column for item in content.items]))
    problems.extend(_assessment(content.assessment))
    problems.extend(_description(content, pack))
    if content.open and not any(item.open for item in content.items):
        problems.append(("/open", Text(zh="资源开放但没有开放的信息项", en="open, but no item is open")))
    return tuple(problems)


def _classification(content: ResourceContent, pack: NormPack) -> list[Problem]:
    parts = _CLASSIFICATION.fullmatch(content.classification)
    if parts is not None and len(parts.group(1)) > pack.code_detail_max:
        most = pack.code_detail_max
        return [("/classification", Text(zh=f"细目最多 {most} 位", en=f"at most {most} characters after the 目"))]
    if parts is None:
        return [
            (
                "/classification",
                Text(zh="分类代码应为类、项、目至少 6 位", en="the classification needs at least 6 characters"),
            )
        ]
    if pack.classification(content.classification[:3]) is None:
        return [("/classification", Text(zh="规范包中没有这个分类", en="the norm pack has no such classification"))]
    return []


def _sharing(content: ResourceContent) -> list[Problem]:
    problems: list[Problem] = []
    if content.share_type is ShareType.CONDITIONAL and not content.share_condition.strip():
        problems.append(("/share_condition", Text(zh="有条件共享须写明共享条件", en="the condition is missing")))
    if content.share_type is ShareType.NONE and not content.legal_basis.strip():
        problems.append(
            ("/legal_basis", Text(zh="不予共享须列明法律、行政法规或国务院决定依据", en="the legal basis is missing"))
        )
    if content.share_type is not ShareType.NONE and not content.share_modes:
        problems.append(("/share_modes", Text(zh="未选择共享方式", en="no share mode is chosen")))
    if content.open and content.share_type is ShareType.NONE:
        problems.append(("/open", Text(zh="不予共享的资源不能开放", en="an unshared resource cannot be open")))
    return problems


def _assessment(assessment: Assessment | None) -> list[Problem]:
    """Art. 13: nothing is catalogued before its secrecy and personal information were assessed, with a good result."""
    if assessment is None:
        return [
            ("/assessment", Text(zh="缺少保密审查和个人信息保护影响评估", en="the assessment of Art. 13 is missing"))
        ]
    problems: list[Problem] = []
    if assessment.conclusion is AssessmentConclusion.NOT_PASSED:
        problems.append(
            ("/assessment/conclusion", Text(zh="评估结论为不通过，不能编目", en="the assessment was not passed"))
        )
    for field, given, name in (
        ("secrecy", assessment.secrecy, Text(zh="保密审查结论", en="the conclusion on secrecy")),
        (
            "personal_information",
            assessment.personal_information,
            Text(zh="个人信息保护影响评估结论", en="the conclusion on personal information"),
        ),
        ("assessed_by", assessment.assessed_by, Text(zh="评估人", en="who assessed it")),
        ("assessed_on", str(assessment.assessed_on or ""), Text(zh="评估日期", en="the date of assessment")),
    ):
        if not given.strip():
            problems.append((f"/assessment/{field}", Text(zh=f"缺少{name.zh}", en=f"{name.en} is missing")))
    return problems


def _classified(content: ResourceContent, pack: NormPack) -> list[Problem]:
    """Art. 13 asks for the class of the data; class and licence are known to the pack."""
    problems: list[Problem] = []
    if not content.data_category and pack.data_categories:
        problems.append(("/data_category", Text(zh="缺少数据分类", en="the data category is missing")))
    elif content.data_category and content.data_category not in {known.key for known in pack.data_categories}:
        problems.append(
            ("/data_category", Text(zh="规范包中没有这个数据分类", en="the norm pack has no such category"))
        )
    if content.licence and content.licence not in {known.key for known in pack.licences}:
        problems.append(("/licence", Text(zh="规范包中没有这个许可", en="the norm pack has no such licence")))
    return problems


def _description(content: ResourceContent, pack: NormPack) -> list[Problem]:
    """The terms of use, and what need not be said but must be right where it is."""
    problems = _classified(content, pack)
    if content.share_type is not ShareType.NONE and not content.use_condition.strip():
        problems.append(("/use_condition", Text(zh="缺少使用条件", en="the condition of use is missing")))
    if content.spatial and not validate_division_code(content.spatial).valid:
        problems.append(
            ("/spatial", Text(zh="空间范围应为行政区划代码", en="the spatial coverage must be a division code"))
        )
    start, end = content.temporal_start, content.temporal_end
    if start is not None and end is not None and end < start:
        problems.append(("/temporal_end", Text(zh="时间范围的终点早于起点", en="the period ends before it starts")))
    if content.contact is not None and content.contact.email and not _EMAIL.fullmatch(content.contact.email):
        problems.append(("/contact/email", Text(zh="电子邮箱格式不对", en="that is no e-mail address")))
    for index, entry in enumerate(content.distributions):
        path = f"/distributions/{index}"
        if not entry.access_url and not entry.download_url:
            problems.append((f"{path}/access_url", Text(zh="获取方式没有地址", en="the distribution has no address")))
        if entry.open and not content.open:
            problems.append(
                (f"{path}/open", Text(zh="资源未开放，获取方式不能开放", en="open, but its resource is not"))
            )
    for identifier, count in Counter(entry.id for entry in content.distributions).items():
        if count > 1:
            problems.append(
                ("/distributions", Text(zh=f"获取方式编号重复：{identifier}", en=f"distributions repeat {identifier}"))
            )
    return problems


def _item(path: str, item: Item, pack: NormPack) -> list[Problem]:
    name = item.name.zh.strip() or item.column
    problems: list[Problem] = []
    if not item.name.zh.strip():
        problems.append((f"{path}/name", Text(zh=f"信息项 {item.column} 缺少名称", en=f"{item.column} has no name")))
    if item.element is not None and not pack.has_element(item.element):
        problems.append(
            (f"{path}/element", Text(zh=f"{name}：没有数据元 {item.element}", en=f"{name}: unknown {item.element}"))
        )
    if item.share_type is ShareType.CONDITIONAL and not item.share_condition.strip():
        problems.append((f"{path}/share_condition", Text(zh=f"{name}：缺少共享条件", en=f"{name}: no condition")))
    if item.share_type is ShareType.NONE and not item.legal_basis.strip():
        problems.append((f"{path}/legal_basis", Text(zh=f"{name}：不予共享缺少依据", en=f"{name}: no legal basis")))
    if item.open and item.share_type is ShareType.NONE:
        problems.append((f"{path}/open", Text(zh=f"{name}：不予共享不能开放", en=f"{name}: unshared yet open")))
    known = item.element if item.element is not None and pack.has_element(item.element) else None
    if item.open and known is not None and pack.element(known).personal:
        problems.append((f"{path}/open", Text(zh=f"{name}：个人信息不能开放", en=f"{name}: personal yet open")))
    return problems


def _repeated(field: str, values: list[str]) -> list[Problem]:
    return [
        ("/items", Text(zh=f"信息项重复：{value}", en=f"items repeat the {field} {value}"))
        for value, count in Counter(values).items()
        if count > 1 and value
    ]

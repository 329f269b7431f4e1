"""What a resource must say before it may be submitted: the complete list of what is missing, never only the first."""

import re
from collections import Counter

from datong.catalogue.values import Item, ResourceContent
from datong.kernel import Text
from datong.norms import NormPack, ResourceFormat, ShareType

Problem = tuple[str, Text]
_CLASSIFICATION = re.compile(r"[123]\d{2}\d{3}\w*", re.ASCII)


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
    if content.open and not any(item.open for item in content.items):
        problems.append(("/open", Text(zh="资源开放但没有开放的信息项", en="open, but no item is open")))
    return tuple(problems)


def _classification(content: ResourceContent, pack: NormPack) -> list[Problem]:
    if not _CLASSIFICATION.fullmatch(content.classification):
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

"""Errors of the catalogue, worded once."""

from collections.abc import Sequence

from datong.kernel import Conflict, Invalid, NotFound, Refused, Text


def resource_not_found(resource_id: str) -> NotFound:
    """No such resource, or none that is visible."""
    return NotFound(
        "catalogue.resource_not_found",
        what=Text(zh="没有这个信息资源，或它尚未发布。", en="There is no such resource, or it is not published."),
        remedy=Text(zh="请核对编号，或在目录中搜索。", en="Check the number, or search the catalogue."),
        context={"resource_id": resource_id},
    )


def department_not_found(code: str) -> NotFound:
    """No such department."""
    return NotFound(
        "catalogue.department_not_found",
        what=Text(zh=f"没有代码为 {code} 的部门。", en=f"There is no department with code {code}."),
        remedy=Text(
            zh="请核对统一社会信用代码，或先登记该部门。", en="Check the code, or register the department first."
        ),
        context={"department": code},
    )


def key_not_found(key_id: str) -> NotFound:
    """No such signing key."""
    return NotFound(
        "catalogue.key_not_found",
        what=Text(zh=f"没有登记过密钥 {key_id}。", en=f"No key {key_id} is registered."),
        remedy=Text(zh="请先登记该部门前置机的密钥。", en="Register the key of the department's node first."),
        context={"key_id": key_id},
    )


def department_code_invalid(code: str) -> Invalid:
    """The code is no unified social credit code."""
    return Invalid(
        "catalogue.department_code_invalid",
        what=Text(
            zh=f"{code} 不是有效的统一社会信用代码（GB 32100）。",
            en=f"{code} is not a valid unified social credit code (GB 32100).",
        ),
        remedy=Text(zh="请按部门的登记证书填写 18 位代码。", en="Enter the 18 characters of the certificate."),
        field="/code",
    )


def version_conflict(expected: int, actual: int) -> Conflict:
    """Somebody else has changed the resource since it was read."""
    return Conflict(
        "catalogue.version_conflict",
        what=Text(
            zh=f"资源已是第 {actual} 版，而修改基于第 {expected} 版。",
            en=f"The resource is at version {actual}, the edit was made from version {expected}.",
        ),
        remedy=Text(zh="请重新打开后再修改。", en="Open it again and repeat the edit."),
        field="/expected_version",
        context={"expected_version": expected, "version": actual},
    )


def not_editable(state: Text) -> Conflict:
    """Content can change in a draft or a returned resource only."""
    return Conflict(
        "catalogue.not_editable",
        what=Text(
            zh=f"资源处于“{state.zh}”状态，不能修改内容。",
            en=f'The resource is "{state.en}": its content cannot be edited.',
        ),
        remedy=Text(zh="已发布的资源请先“修订”，产生新版本后再改。", en="Revise a published resource first."),
    )


def changed_meanwhile(digest: str) -> Conflict:
    """Somebody else has saved other content since the editor read it."""
    return Conflict(
        "catalogue.changed_meanwhile",
        what=Text(zh="在您编辑期间，其他人已保存了修改。", en="Somebody else saved changes while you were editing."),
        remedy=Text(
            zh="请比较两处内容，决定保留哪一处后重新保存。", en="Compare the two, decide which to keep, and save again."
        ),
        field="/expected_digest",
        context={"digest": digest},
    )


def binding_taken() -> Conflict:
    """One table of a department is one resource."""
    return Conflict(
        "catalogue.binding_taken",
        what=Text(
            zh="本部门已有另一条目录挂接了这张表。", en="Another entry of the department is bound to this table."
        ),
        remedy=Text(zh="请修改那一条，或挂接别的表。", en="Edit that one, or bind another table."),
        field="/content/binding",
    )


def kept_elsewhere(address: str) -> Conflict:
    """The entry is a copy: it changes where it comes from."""
    return Conflict(
        "catalogue.kept_elsewhere",
        what=Text(
            zh="这条目录采集自其他平台，在本平台只读。",
            en="This entry was harvested from another catalogue and is read-only here.",
        ),
        remedy=Text(
            zh="请在来源平台修改，下次采集时自动更新。", en="Change it where it comes from; the next harvest brings it."
        ),
        context={"address": address},
    )


def classification_fixed() -> Conflict:
    """The resource code carries the classification, so it stays."""
    return Conflict(
        "catalogue.classification_fixed",
        what=Text(
            zh="信息资源代码已经编定，不能再改分类。",
            en="The resource code has been given; the classification cannot change.",
        ),
        remedy=Text(zh="请注销本资源后按新分类另行编目。", en="Retire this resource and catalogue it anew."),
        field="/content/classification",
    )


def serials_used_up(classification: str, digits: int) -> Conflict:
    """A classification has no number left."""
    return Conflict(
        "catalogue.serials_used_up",
        what=Text(
            zh=f"分类 {classification} 下的 {digits} 位顺序号已经用完。",
            en=f"The {digits}-digit numbers under classification {classification} are used up.",
        ),
        remedy=Text(
            zh="请使用细目，或在规范包中加宽顺序号（code_serial_digits）。",
            en="Use a finer classification, or widen code_serial_digits in the norm pack.",
        ),
        context={"classification": classification},
    )


def wrong_party(who: Text) -> Refused:
    """Somebody who is not the party of the transition tried it."""
    return Refused(
        "catalogue.wrong_party",
        what=Text(zh=f"只有{who.zh}可以这样做。", en=f"Only {who.en} may do this."),
        remedy=Text(zh="请由有权的部门办理。", en="Let the competent department act."),
    )


def content_incomplete(problems: Sequence[tuple[str, Text]]) -> Invalid:
    """The complete list of what a submission lacks."""
    return Invalid(
        "catalogue.content_incomplete",
        what=Text(
            zh=f"目录内容有 {len(problems)} 处需要补正：" + "；".join(text.zh for _, text in problems[:5]) + "。",
            en=f"{len(problems)} things must be completed: " + "; ".join(text.en for _, text in problems[:5]) + ".",
        ),
        remedy=Text(zh="请一次补齐后再提交。", en="Complete them all, then submit again."),
        field=problems[0][0],
        context={"problems": [{"field": field, "zh": text.zh, "en": text.en} for field, text in problems]},
    )


def inventory_not_found(inventory_id: str) -> NotFound:
    """No such inventory."""
    return NotFound(
        "catalogue.inventory_not_found",
        what=Text(zh="没有这次盘点。", en="There is no such inventory."),
        remedy=Text(zh="请从盘点列表中选择。", en="Choose one from the list of inventories."),
        context={"inventory_id": inventory_id},
    )


def inventory_finished(inventory_id: str) -> Conflict:
    """A finished inventory takes in nothing more."""
    return Conflict(
        "catalogue.inventory_finished",
        what=Text(zh="这次盘点已经结束。", en="This inventory is finished."),
        remedy=Text(zh="请重新开始一次盘点。", en="Start a new inventory."),
        context={"inventory_id": inventory_id},
    )


def drift_not_found(resource_id: str) -> NotFound:
    """The resource agrees with its source."""
    return NotFound(
        "catalogue.drift_not_found",
        what=Text(zh="该资源与数据源一致，没有待处理的变化。", en="The resource agrees with its source."),
        remedy=Text(zh="如需修订，请直接修订资源。", en="To change it all the same, revise the resource."),
        context={"resource_id": resource_id},
    )


def drift_not_revisable() -> Conflict:
    """There is no structure to draft a version from."""
    return Conflict(
        "catalogue.drift_not_revisable",
        what=Text(zh="源表已不存在或无法读取，不能按新结构修订。", en="The table is gone or not readable."),
        remedy=Text(
            zh="请恢复数据源；确已停用的，请修订挂接或注销资源。",
            en="Restore the source; if it is out of use, revise the binding or retire the resource.",
        ),
    )


def vocabulary_invalid(least: int, most: int, chars_max: int) -> Invalid:
    """The words cannot be added to the vocabulary."""
    count = str(least) if least == most else f"{least}–{most}"
    return Invalid(
        "catalogue.vocabulary_invalid",
        what=Text(
            zh=f"需要 {count} 个词，每个含文字且不超过 {chars_max} 个字符。",
            en=f"Needs {count} words, each with a letter and of at most {chars_max} characters.",
        ),
        remedy=Text(zh="请修改后重试。", en="Change them and try again."),
        field="/words",
    )


def vocabulary_known() -> Conflict:
    """The words are in the vocabulary already, or it is full."""
    return Conflict(
        "catalogue.vocabulary_known",
        what=Text(zh="词表中已有这些词，或词表已满。", en="These words are there already, or the vocabulary is full."),
        remedy=Text(zh="请先移除旧词条。", en="Remove the old entry first."),
    )


def vocabulary_entry_not_found(entry_id: str) -> NotFound:
    """No such entry of the vocabulary."""
    return NotFound(
        "catalogue.vocabulary_entry_not_found",
        what=Text(zh="没有这个词条，或它已被移除。", en="There is no such entry, or it was removed."),
        remedy=Text(zh="请刷新词表。", en="Reload the vocabulary."),
        context={"entry_id": entry_id},
    )


def demand_not_found(key: str) -> NotFound:
    """Nobody asked for that."""
    return NotFound(
        "catalogue.demand_not_found",
        what=Text(zh="没有这项需求的记录。", en="No such demand is recorded."),
        remedy=Text(zh="请从需求清单中选择。", en="Choose one from the list of demands."),
        context={"key": key},
    )

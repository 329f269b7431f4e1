"""What the public may see of a resource, decided field by field: what is not named here stays inside.

Every public page and machine interface shows `public_part` and nothing else; the tables that they read hold nothing
else (docs/adr/0020). A field that is added to a value later is inside until somebody lists it here.
"""

import uuid
from datetime import datetime
from enum import StrEnum

from datong.catalogue.values import Contact, Distribution, Item, ResourceContent
from datong.kernel import DepartmentCode, ResourceId, Text, Value

PUBLIC_CONTENT = frozenset(
    {
        "title",
        "summary",
        "classification",
        "format",
        "items",
        "share_type",
        "share_condition",
        "share_modes",
        "legal_basis",
        "open",
        "open_condition",
        "update_cycle",
        "theme",
        "keywords",
        "use_condition",
        "data_category",
        "contact",
        "licence",
        "spatial",
        "temporal_start",
        "temporal_end",
        "distributions",
    }
)
PRIVATE_CONTENT = frozenset({"binding", "related_codes", "source_system", "assessment", "sign_off", "origin"})
"""Named only so that a test can tell a new field, about which nobody has decided yet, from these."""
PUBLIC_ITEM = frozenset(
    {
        "name",
        "column",
        "element",
        "data_type",
        "length",
        "grade",
        "share_type",
        "share_condition",
        "share_modes",
        "legal_basis",
        "open",
        "open_condition",
        "key",
    }
)
PRIVATE_ITEM = frozenset({"mapping_confidence", "mapping_evidence"})
PUBLIC_CONTACT = frozenset({"unit", "phone", "email"})
PRIVATE_CONTACT = frozenset({"person"})
FORMATS = {
    "text/csv": "CSV",
    "application/json": "JSON",
    "application/geo+json": "GeoJSON",
    "application/xml": "XML",
    "application/pdf": "PDF",
    "application/zip": "ZIP",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
    "application/vnd.ms-excel": "XLS",
    "application/vnd.apache.parquet": "Parquet",
    "text/html": "HTML",
}
"""Short names of media types, as catalogues call formats."""
PAGE_FORMAT = "HTML"
TERM_CHARS_MAX = 200


class OpenField(StrEnum):
    """A facet of open resources that has several values for one resource."""

    KEYWORD = "keyword"
    FORMAT = "format"
    DISTRIBUTION = "distribution"


class OpenResource(Value):
    """An open resource as the public knows it.

    `edition` counts what the public was shown, so that it tells nothing about versions that were not open;
    `first_opened_at` and `changed_at` are times of publication to the public.
    """

    id: ResourceId
    department: DepartmentCode
    edition: int
    content: ResourceContent
    first_opened_at: datetime
    changed_at: datetime


class OpenEdition(Value):
    """One edition of an open resource, with what it changed against the one before."""

    edition: int
    opened_at: datetime
    changes: tuple[Text, ...] = ()


def public_part(content: ResourceContent) -> ResourceContent:
    """Return what everybody may see of `content`: listed fields, open items and distributions, no person's name."""
    kept = {name: getattr(content, name) for name in PUBLIC_CONTENT}
    kept["items"] = tuple(_public_item(item) for item in content.items if item.open)
    kept["distributions"] = tuple(entry for entry in content.distributions if entry.open)
    kept["contact"] = content.contact and _public_contact(content.contact)
    return ResourceContent.model_construct(**kept)


def distribution_id(resource_id: str, distribution: str) -> str:
    """Return a UUID for one distribution of a resource: clients of CKAN know them by UUIDs only."""
    return str(uuid.uuid5(uuid.UUID(resource_id), distribution))


def format_name(distribution: Distribution) -> str:
    """Return the short name of a distribution's format."""
    known = FORMATS.get(distribution.media_type.partition(";")[0].strip().lower())
    return known or distribution.media_type.rpartition("/")[2].upper()[:TERM_CHARS_MAX] or PAGE_FORMAT


def known_format(text: str) -> str:
    """Return a format's short name as it is written here, however it is spelled."""
    return next((known for known in FORMATS.values() if known.lower() == text.strip().lower()), text.strip().upper())


def open_terms(resource_id: str, part: ResourceContent) -> set[tuple[OpenField, str]]:
    """Return the (field, value) pairs by which an open resource is filtered and counted."""
    found = {(OpenField.KEYWORD, word.strip()[:TERM_CHARS_MAX]) for word in part.keywords if word.strip()}
    found.add((OpenField.FORMAT, PAGE_FORMAT))
    found.add((OpenField.DISTRIBUTION, distribution_id(resource_id, PORTAL_DISTRIBUTION)))
    for entry in part.distributions:
        found.add((OpenField.FORMAT, format_name(entry)))
        found.add((OpenField.DISTRIBUTION, distribution_id(resource_id, entry.id)))
    return found


PORTAL_DISTRIBUTION = "portal"
"""The distribution that every open resource has: its page in the portal."""


def edition_changes(before: ResourceContent, after: ResourceContent, now: ResourceContent) -> tuple[Text, ...]:
    """Return in words what an edition changed; items are named only if they are open `now`."""
    changes = [name for field, name in _CHANGED if getattr(before, field) != getattr(after, field)]
    old = {item.column: item for item in before.items}
    new = {item.column: item for item in after.items}
    still_open = {item.column for item in now.items}
    for column, item in new.items():
        if column not in still_open or old.get(column) == item:
            continue
        name = Text(zh=item.name.zh, en=item.name.en or item.name.zh)
        if column in old:
            changes.append(Text(zh=f"修改信息项“{name.zh}”", en=f"item “{name.en}” changed"))
        else:
            changes.append(Text(zh=f"新增信息项“{name.zh}”", en=f"item “{name.en}” added"))
    if not set(new) >= set(old):
        changes.append(Text(zh="信息项减少", en="fewer items"))
    return tuple(dict.fromkeys(changes))


_CHANGED = (
    ("title", Text(zh="名称", en="title")),
    ("summary", Text(zh="摘要", en="summary")),
    ("theme", Text(zh="主题", en="theme")),
    ("keywords", Text(zh="关键词", en="keywords")),
    ("update_cycle", Text(zh="更新周期", en="update cycle")),
    ("open_condition", Text(zh="开放条件", en="conditions")),
    ("use_condition", Text(zh="使用条件", en="conditions of use")),
    ("licence", Text(zh="许可", en="licence")),
    ("contact", Text(zh="联系方式", en="contact")),
    ("spatial", Text(zh="空间范围", en="spatial coverage")),
    ("temporal_start", Text(zh="时间范围", en="period")),
    ("temporal_end", Text(zh="时间范围", en="period")),
    ("distributions", Text(zh="获取方式", en="distributions")),
    ("format", Text(zh="格式", en="format")),
    ("classification", Text(zh="分类", en="classification")),
    ("data_category", Text(zh="数据分类", en="data category")),
    ("share_type", Text(zh="共享类型", en="share type")),
)


def _public_item(item: Item) -> Item:
    return Item.model_construct(**{name: getattr(item, name) for name in PUBLIC_ITEM})


def _public_contact(contact: Contact) -> Contact:
    return Contact.model_construct(**{name: getattr(contact, name) for name in PUBLIC_CONTACT})

"""What a remote dataset becomes here: its department, its content, and what had to be adjusted. Pure.

Another Datong hub declares the whole public content, which is taken as it stands. For every other catalogue the content
is composed from the usual fields; what is unknown here (a theme, a licence) falls to the source's defaults.
"""

import re
from collections.abc import Collection, Iterable

from pydantic import ValidationError

from datong.catalogue import Distribution, Origin, ResourceContent, public_part
from datong.federation.texts import one_line
from datong.federation.values import Rejected, RemoteDataset, SourceId, SourceSettings
from datong.kernel import DepartmentCode, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import NormPack, ResourceFormat, ShareMode, ShareType, UpdateCycle

DIVISION = re.compile(r"[1-9]\d{5}(\d{3})?(\d{3})?", re.ASCII)
_MORE = "…"


class Entry(Value):
    """A dataset ready to be kept: who answers for it here, what it says, and what was changed on the way."""

    remote_id: str
    name: str
    department: DepartmentCode
    content: ResourceContent
    adjusted: tuple[Text, ...] = ()
    of_a_hub: bool = False
    """Declared by another Datong hub: department and title came through unchanged."""

    @property
    def offered_back(self) -> Rejected:
        """What becomes of it when it is this hub's own resource, which the other hub harvested before."""
        reason = Text(zh="是本平台自己的资源，由来源转载", en="it is this hub's own resource, offered back")
        return Rejected(remote_id=self.remote_id, title=self.content.title.zh[:200], reason=reason, withdraw=True)


class EntryRules(Value):
    """What judging a dataset needs besides the dataset: the source, the registered departments, the norms."""

    source_id: SourceId
    settings: SourceSettings
    departments: frozenset[DepartmentCode]
    pack: NormPack

    def judge(self, dataset: RemoteDataset) -> Entry | Rejected:
        """Return the entry that `dataset` becomes, or why it is not taken."""
        title = one_line(dataset.title.zh or dataset.title.en)
        if dataset.remote_id in self.settings.excluded or dataset.name in self.settings.excluded:
            excluded = Text(zh="已被本平台排除", en="excluded by this platform")
            return _rejected(dataset, excluded).model_copy(update={"withdraw": True})
        if not title:
            return _rejected(dataset, Text(zh="没有标题", en="it has no title"))
        department = self._department(dataset)
        if department is None:
            shown = dataset.publisher_name or dataset.publisher_id
            return _rejected(
                dataset,
                Text(
                    zh=f"发布者“{shown or '（空）'}”没有对应的部门",
                    en=f'the publisher "{shown or "(none)"}" is not mapped to a department',
                ),
            )
        remarks = list(dataset.remarks)
        content = self._declared(dataset, remarks) or self._composed(dataset, remarks)
        origin = Origin(
            source_id=self.source_id,
            remote_id=dataset.remote_id,
            address=dataset.address,
            modified_at=dataset.modified_at,
        )
        return Entry(
            remote_id=dataset.remote_id,
            name=dataset.name,
            department=department,
            content=content.model_copy(update={"origin": origin, "open": self.settings.open_here}),
            adjusted=tuple(remarks),
            of_a_hub=bool(dataset.declared),
        )

    def _department(self, dataset: RemoteDataset) -> DepartmentCode | None:
        keys = {dataset.publisher_id.casefold(), dataset.publisher_name.casefold()} - {""}
        for mapping in self.settings.publishers:
            if mapping.publisher.casefold() in keys:
                return mapping.department
        code = DepartmentCode(dataset.publisher_id)
        return code if code in self.departments else self.settings.fallback_department

    def _declared(self, dataset: RemoteDataset, remarks: list[Text]) -> ResourceContent | None:
        """Return the content that another Datong hub declares, without anything that only a hub itself may say."""
        given = dataset.declared.get("content", dataset.declared)
        if not given:
            return None
        try:
            content = ResourceContent.model_validate(given)
        except ValidationError as error:
            field = "/".join(str(part) for part in error.errors()[0]["loc"])
            remarks.append(
                Text(
                    zh=f"来源声明的完整内容不可用（{field}），改按通用字段编目",
                    en=f"the declared content is not usable ({field}); the common fields were taken instead",
                )
            )
            return None
        return public_part(content)

    def _composed(self, dataset: RemoteDataset, remarks: list[Text]) -> ResourceContent:
        settings = self.settings
        start, end = dataset.temporal_start, dataset.temporal_end
        if start is not None and end is not None and end < start:
            remarks.append(Text(zh="时间范围的终点早于起点，已略去", en="its period ends before it starts; left out"))
            start = end = None
        spatial = dataset.spatial if DIVISION.fullmatch(dataset.spatial) else ""
        return ResourceContent(
            title=_clipped(dataset.title, NAME_CHARS_MAX, "标题", "title", remarks),
            summary=_clipped(dataset.summary, TEXT_CHARS_MAX, "摘要", "summary", remarks),
            classification=settings.default_classification,
            format=format_of(dataset.distributions),
            share_type=ShareType.UNCONDITIONAL,
            share_modes=(ShareMode.FILE,),
            update_cycle=cycle_of(dataset.frequency),
            theme=self._theme(dataset),
            keywords=dataset.keywords,
            licence=self._licence(dataset, remarks),
            contact=dataset.contact,
            spatial=spatial,
            temporal_start=start,
            temporal_end=end,
            distributions=dataset.distributions,
        )

    def _theme(self, dataset: RemoteDataset) -> str:
        names = {name.casefold() for name in dataset.themes}
        for theme in self.pack.themes:
            if {theme.key.casefold(), theme.name.zh.casefold(), theme.name.en.casefold()} & names:
                return theme.key
        return self.settings.default_theme

    def _licence(self, dataset: RemoteDataset, remarks: list[Text]) -> str:
        given = {_licence_form(text) for text in dataset.licence} - {""}
        for licence in self.pack.licences:
            known = (licence.key, licence.url, licence.name.zh, licence.name.en)
            if given & {_licence_form(text) for text in known}:
                return licence.key
        if dataset.licence:
            shown = dataset.licence[0][:NAME_CHARS_MAX]
            remarks.append(
                Text(
                    zh=f"许可“{shown}”不在规范包中，用来源的默认许可",
                    en=f'licence "{shown}" is not in the norm pack; the default was taken',
                )
            )
        return self.settings.default_licence


def _rejected(dataset: RemoteDataset, reason: Text) -> Rejected:
    return Rejected(remote_id=dataset.remote_id, title=dataset.title.zh[:NAME_CHARS_MAX], reason=reason)


def _clipped(text: Text, chars_max: int, name_zh: str, name_en: str, remarks: list[Text]) -> Text:
    if len(text.zh) <= chars_max and len(text.en) <= chars_max:
        return text
    remarks.append(
        Text(
            zh=f"{name_zh}超过 {chars_max} 字，已截短",
            en=f"the {name_en} is longer than {chars_max} characters; shortened",
        )
    )
    return Text(zh=_short(text.zh, chars_max), en=_short(text.en, chars_max))


def _short(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + _MORE


def _licence_form(text: str) -> str:
    """Return a licence's name or address in a form in which two spellings of it are equal."""
    return re.sub(r"^https?://(www\.)?|[\s/_]+|(deed|legalcode)(\.[a-z-]+)?$", "", text.casefold())


_CYCLES: dict[UpdateCycle, Collection[str]] = {
    UpdateCycle.REAL_TIME: (
        "cont",
        "update_cont",
        "hourly",
        "continuous",
        "continuously",
        "r/pt1s",
        "实时",
        "real_time",
    ),
    UpdateCycle.DAILY: ("daily", "daily_2", "r/p1d", "每日", "每天", "日"),
    UpdateCycle.WEEKLY: ("weekly", "weekly_2", "weekly_3", "r/p1w", "r/p7d", "每周", "周"),
    UpdateCycle.MONTHLY: ("monthly", "monthly_2", "monthly_3", "biweekly", "r/p1m", "r/p2w", "每月", "月"),
    UpdateCycle.QUARTERLY: ("quarterly", "bimonthly", "r/p3m", "每季度", "季度", "每季"),
    UpdateCycle.HALF_YEARLY: ("annual_2", "annual_3", "semiannual", "half_yearly", "r/p6m", "每半年", "半年"),
    UpdateCycle.YEARLY: ("annual", "annually", "yearly", "r/p1y", "每年", "年"),
}
"""EU frequency authority table, ISO 8601 repetitions (data.gov), plain English and Chinese words."""
_CYCLE_OF = {word: cycle for cycle, words in _CYCLES.items() for word in words}

_FORMATS: dict[ResourceFormat, Collection[str]] = {
    ResourceFormat.SPREADSHEET: ("csv", "tsv", "xls", "xlsx", "ods", "ms-excel", "spreadsheetml"),
    ResourceFormat.SELF_DESCRIBING: ("json", "jsonl", "xml", "rdf", "ttl", "turtle", "ld+json", "parquet"),
    ResourceFormat.IMAGE: ("shp", "geojson", "kml", "kmz", "tif", "tiff", "png", "jpg", "jpeg", "gpkg", "dwg"),
    ResourceFormat.SERVICE: ("api", "wms", "wfs", "wmts", "rest", "soap", "odata", "ogc"),
    ResourceFormat.STREAM: ("mp4", "mp3", "avi", "m3u8", "wav"),
    ResourceFormat.DATABASE: ("sql", "sqlite", "mdb", "dbf"),
}
_FORMAT_OF = {word: kind for kind, words in _FORMATS.items() for word in words}


def cycle_of(frequency: str) -> UpdateCycle:
    """Return the update cycle that a remote frequency means; 不定期 when it says nothing known."""
    last = (
        re.split(r"[/#](?!p)", frequency.casefold().strip())[-1] if "://" in frequency else frequency.casefold().strip()
    )
    return _CYCLE_OF.get(last, UpdateCycle.IRREGULAR)


def format_of(distributions: Iterable[Distribution]) -> ResourceFormat:
    """Return the format of a resource: that of its first distribution with a known kind."""
    for distribution in distributions:
        for word in re.split(r"[/.;+\s]", distribution.media_type.casefold())[::-1]:
            if word in _FORMAT_OF:
                return _FORMAT_OF[word]
    return ResourceFormat.ELECTRONIC_FILE

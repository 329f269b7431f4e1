"""Reading the answers of a CKAN Action API (v3). Pure: bytes in, datasets or reasons out.

Real portals depart from CKAN in many ways: texts that are numbers, objects by language (ckanext-fluent), HTML in notes,
extras as a list or an object. Whatever cannot be used is left out and remarked; a dataset without an id is refused.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from datong.catalogue import Contact, Distribution
from datong.federation.faults import unreadable
from datong.federation.texts import bilingual, clean, date_of, decode, moment_of, one_line, plain
from datong.federation.values import Rejected, RemoteDataset, RemotePage, usable_id
from datong.federation.web import Document
from datong.kernel import Text, sha256_hex
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX

ACTION_PATH = "/api/3/action"
DECLARED_KEY = "datong"
"""The key, in the package itself or among its extras, under which a Datong hub adds what CKAN has no field for."""
DISTRIBUTIONS_MAX = 50
KEYWORDS_MAX = 50
ACCEPT = "application/json"
_NOT_JSON = Text(zh="来源的应答不是 CKAN 接口的 JSON", en="The origin's answer is not the JSON of a CKAN API")
_NO_ID = Text(zh="没有编号，无法在下次采集时认出", en="It has no id by which the next harvest could know it again")
_NO_OBJECT = Text(zh="不是数据集对象", en="It is no dataset object")


def action_address(address: str, action: str, **parameters: object) -> str:
    """Return the address of an action on the portal at `address`, which may be its root or its API's."""
    root = address.rstrip("/")
    if "/api/" not in root and not root.endswith("/api"):
        root += ACTION_PATH
    elif not root.endswith("/action"):
        root += "/action" if root.rsplit("/", 1)[-1].isdigit() else ACTION_PATH.removeprefix("/api")
    query = urlencode({name: str(value) for name, value in parameters.items()})
    return f"{root}/{action}" + (f"?{query}" if query else "")


def search_address(address: str, *, start: int, rows: int, since: str = "") -> str:
    """Return the address of one page of packages in a stable order; `since` keeps those modified then or later."""
    parameters: dict[str, object] = {"sort": "id asc", "start": start, "rows": rows}
    if since:
        parameters["fq"] = f"metadata_modified:[{since} TO *]"
    return action_address(address, "package_search", **parameters)


def show_address(address: str, remote_id: str) -> str:
    """Return the address of one package."""
    return action_address(address, "package_show", id=remote_id)


def page_address(address: str, name: str) -> str:
    """Return the address at which people read a package."""
    parts = urlsplit(address)
    root = f"{parts.scheme}://{parts.netloc}{parts.path.split('/api')[0].rstrip('/')}"
    return f"{root}/dataset/{quote(name, safe='')}"


def parse_search(document: Document, *, portal: str) -> RemotePage:
    """Return one page of `package_search`.

    Raises:
        Corrupt: it is not such an answer.
    """
    result = _result(document)
    if not isinstance(result, Mapping) or not isinstance(result.get("results"), list):
        raise unreadable(_NOT_JSON, address=document.address, detail="results")
    datasets: list[RemoteDataset] = []
    rejected: list[Rejected] = []
    deleted: list[str] = []
    for entry in result["results"]:
        if isinstance(entry, Mapping) and clean(entry.get("state")).lower() == "deleted":
            deleted.append(clean(entry.get("id")))
            continue
        read = parse_package(entry, portal=portal)
        if isinstance(read, Rejected):
            rejected.append(read)
        else:
            datasets.append(read)
    count = result.get("count")
    total = count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
    return RemotePage(datasets=tuple(datasets), rejected=tuple(rejected), deleted=tuple(deleted), total=total)


def parse_names(document: Document) -> frozenset[str]:
    """Return what `package_list` lists.

    Raises:
        Corrupt: it is not such an answer.
    """
    result = _result(document)
    if not isinstance(result, list):
        raise unreadable(_NOT_JSON, address=document.address, detail="package_list")
    return frozenset(clean(name) for name in result)


def parse_show(document: Document, *, portal: str) -> RemoteDataset | Rejected | None:
    """Return the package of `package_show`, None when it says that the package is deleted.

    Raises:
        Corrupt: it is not such an answer.
    """
    result = _result(document)
    if isinstance(result, Mapping) and clean(result.get("state")).lower() == "deleted":
        return None
    return parse_package(result, portal=portal)


def parse_package(package: object, *, portal: str) -> RemoteDataset | Rejected:
    """Return a package as a dataset, or the reason why it cannot be one."""
    if not isinstance(package, Mapping):
        return Rejected(remote_id=_stand_in(package), title="", reason=_NO_OBJECT)
    name = clean(package.get("name"))[:NAME_CHARS_MAX]
    remote_id = clean(package.get("id")) or name
    title = _text(package, "title", one=True)
    if not title.zh:
        title = Text(zh=name or remote_id, en="")
    remote_id = usable_id(remote_id)
    if not remote_id:
        return Rejected(remote_id=_stand_in(package), title=title.zh[:NAME_CHARS_MAX], reason=_NO_ID)
    extras = _extras(package.get("extras"))
    organization = package.get("organization")
    owner: Mapping[str, Any] = organization if isinstance(organization, Mapping) else {}
    remarks: list[Text] = []
    distributions = _distributions(package.get("resources"), remarks)
    return RemoteDataset(
        remote_id=remote_id,
        name=name,
        address=_address(package.get("url")) if not name else page_address(portal, name),
        title=title,
        summary=_text(package, "notes"),
        publisher_id=clean(extras.get("publisher_code"))
        or clean(owner.get("name"))
        or clean(owner.get("id"))
        or clean(package.get("owner_org")),
        publisher_name=one_line(owner.get("title")) or one_line(extras.get("publisher")) or one_line(owner.get("name")),
        keywords=_keywords(package.get("tags")),
        themes=_names(package.get("groups")),
        licence=tuple(
            filter(None, (clean(package.get(key)) for key in ("license_id", "license_url", "license_title")))
        ),
        modified_at=moment_of(package.get("metadata_modified")),
        frequency=clean(extras.get("frequency") or extras.get("accrualPeriodicity") or package.get("frequency")),
        spatial=clean(extras.get("spatial")),
        temporal_start=date_of(extras.get("temporal_start")),
        temporal_end=date_of(extras.get("temporal_end")),
        contact=_contact(package),
        distributions=distributions,
        declared=_declared(package.get(DECLARED_KEY), extras.get(DECLARED_KEY)),
        remarks=tuple(remarks),
    )


def _stand_in(package: object) -> str:
    """Return a name for something without an id, so that each such thing is reported once."""
    return f"?{sha256_hex(repr(package).encode(errors='replace'))[:16]}"


def _result(document: Document) -> object:
    """Return `result` of an answer that says that it succeeded.

    Raises:
        Corrupt: it is no such answer.
    """
    try:
        answer = json.loads(decode(document.body, document.charset))
    except (ValueError, RecursionError) as error:
        raise unreadable(_NOT_JSON, address=document.address) from error
    if not isinstance(answer, Mapping) or answer.get("success") is not True or "result" not in answer:
        raise unreadable(_NOT_JSON, address=document.address, detail="success")
    return answer["result"]


def _text(package: Mapping[str, Any], field: str, *, one: bool = False) -> Text:
    """Return a text field, in the languages of ckanext-fluent where the portal has them."""
    read = one_line if one else plain
    by_language: dict[str, str] = {}
    for candidate in (package.get(field), package.get(f"{field}_translated")):
        if isinstance(candidate, Mapping):
            by_language.update({str(tag): read(text) for tag, text in candidate.items() if tag})
        elif candidate is not None:
            by_language[""] = read(candidate)
    return bilingual(by_language)


def _extras(extras: object) -> dict[str, object]:
    if isinstance(extras, Mapping):
        return {str(key): value for key, value in extras.items()}
    found: dict[str, object] = {}
    for entry in extras if isinstance(extras, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("key"), str):
            found.setdefault(entry["key"], entry.get("value"))
    return found


def _keywords(tags: object) -> tuple[str, ...]:
    found = dict.fromkeys(
        one_line(tag.get("display_name") or tag.get("name")) if isinstance(tag, Mapping) else one_line(tag)
        for tag in (tags if isinstance(tags, list) else ())
    )
    return tuple(word[:NAME_CHARS_MAX] for word in found if word)[:KEYWORDS_MAX]


def _names(groups: object) -> tuple[str, ...]:
    found: list[str] = []
    for group in groups if isinstance(groups, list) else ():
        if isinstance(group, Mapping):
            found += [clean(group.get("name")), one_line(group.get("title") or group.get("display_name"))]
    return tuple(dict.fromkeys(filter(None, found)))


def _contact(package: Mapping[str, Any]) -> Contact | None:
    unit = one_line(package.get("maintainer") or package.get("author"))[:NAME_CHARS_MAX]
    email = one_line(package.get("maintainer_email") or package.get("author_email"))[:NAME_CHARS_MAX]
    return Contact(unit=unit, email=email) if unit or email else None


def _address(value: object) -> str:
    """Return an address of the web, or nothing: a link must never be a script."""
    text = clean(value)
    usable = text.startswith(("http://", "https://")) and len(text) <= 2000 and not set(text) & set(' <>"\t\n')
    return text if usable else ""


def _distributions(resources: object, remarks: list[Text]) -> tuple[Distribution, ...]:
    given: Sequence[object] = resources if isinstance(resources, list) else ()
    found: dict[str, Distribution] = {}
    for index, entry in enumerate(given):
        if not isinstance(entry, Mapping):
            continue
        address = _address(entry.get("url"))
        if not address:
            remarks.append(
                Text(zh=f"第 {index + 1} 个文件没有可用的地址，已略去", en=f"file {index + 1} has no usable address")
            )
            continue
        key = distribution_id(clean(entry.get("id")), index)
        size = clean(entry.get("size"))
        found.setdefault(
            key,
            Distribution(
                id=key,
                title=_distribution_title(entry, index),
                media_type=(clean(entry.get("mimetype")) or clean(entry.get("format")))[:NAME_CHARS_MAX],
                access_url=address,
                download_url=_address(entry.get("download_url")),
                bytes=int(size) if size.isascii() and size.isdecimal() and len(size) < 16 else None,
                open=True,
            ),
        )
    if len(found) > DISTRIBUTIONS_MAX:
        remarks.append(
            Text(
                zh=f"文件多于 {DISTRIBUTIONS_MAX} 个，其余略去",
                en=f"more than {DISTRIBUTIONS_MAX} files; the rest left out",
            )
        )
    return tuple(found.values())[:DISTRIBUTIONS_MAX]


def distribution_id(given: str, index: int) -> str:
    """Return an id that a distribution may have here: the given one without odd characters, else its place."""
    usable = "".join(letter for letter in given if letter.isascii() and (letter.isalnum() or letter in "-._"))
    return usable[:64] or str(index + 1)


def _distribution_title(entry: Mapping[str, Any], index: int) -> Text:
    by_language = _text(entry, "name", one=True)
    title = by_language if by_language.zh else _text(entry, "description", one=True)
    if not title.zh:
        return Text(zh=f"文件 {index + 1}", en=f"File {index + 1}")
    return Text(zh=title.zh[:TEXT_CHARS_MAX], en=title.en[:TEXT_CHARS_MAX])


def _declared(*candidates: object) -> dict[str, Any]:
    """Return what a Datong hub declares, as an object or as the JSON text of one."""
    for candidate in candidates:
        try:
            found = json.loads(candidate) if isinstance(candidate, str) else candidate
        except (ValueError, RecursionError):
            continue
        if isinstance(found, Mapping):
            return {str(key): value for key, value in found.items()}
    return {}

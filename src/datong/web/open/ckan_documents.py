"""Open resources as CKAN's package, resource, organization, group, tag and licence objects."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from datong.catalogue import (
    PORTAL_DISTRIBUTION,
    Department,
    Distribution,
    OpenResource,
    Publisher,
    distribution_id,
    format_name,
)
from datong.kernel import DepartmentCode, Text
from datong.norms import Licence, NormPack, Theme
from datong.web.open.licences import licence_of

Document = dict[str, object]
NAMESPACE = uuid.UUID("5f0c1ab0-54c9-5b8e-9d0e-0d7f8f1f7a52")
"""Makes UUIDs of codes and keys, which CKAN has no place for."""
PORTAL_PAGE = Text(zh="门户页面", en="Page in the portal")
DECLARED_KEY = "datong"
"""The extra that holds the public part as JSON, from which another hub makes an equal entry."""


class Documents:
    """Makes CKAN's objects of open resources; `publishers` are the departments that have something open."""

    def __init__(self, *, base_url: str, pack: NormPack, publishers: Sequence[Publisher]) -> None:
        self._base, self._pack = base_url, pack
        self.publishers: Mapping[DepartmentCode, Publisher] = {entry.department.code: entry for entry in publishers}
        self.themes: Mapping[str, Theme] = {theme.key: theme for theme in pack.themes}

    def package(self, resource: OpenResource) -> Document:
        """Return a resource as a package."""
        content = resource.content
        licence = licence_of(self._pack, content.licence)
        contact = content.contact
        resources = self.resources(resource)
        keywords = sorted({word.strip() for word in content.keywords if word.strip()})
        publisher = self.publishers.get(resource.department)
        return {
            "id": resource.id,
            "name": resource.id,
            "title": content.title.zh,
            "notes": content.summary.zh or content.title.zh,
            "url": f"{self._base}/open/{resource.id}",
            "type": "dataset",
            "state": "active",
            "private": False,
            "isopen": licence is not None,
            "license_id": licence.key if licence else "",
            "license_title": licence.name.zh if licence else "",
            "license_url": licence.url if licence else "",
            "author": contact.unit if contact else "",
            "author_email": contact.email if contact else "",
            "maintainer": contact.unit if contact else "",
            "maintainer_email": contact.email if contact else "",
            "version": str(resource.edition),
            "creator_user_id": None,
            "metadata_created": ckan_time(resource.first_opened_at),
            "metadata_modified": ckan_time(resource.changed_at),
            "owner_org": organisation_id(resource.department),
            "organization": self.organisation(publisher.department) if publisher else None,
            "groups": [self.group(content.theme)] if content.theme in self.themes else [],
            "tags": [tag(word) for word in keywords],
            "num_tags": len(keywords),
            "resources": resources,
            "num_resources": len(resources),
            "extras": [{"key": key, "value": value} for key, value in self._extras(resource) if value],
            "relationships_as_subject": [],
            "relationships_as_object": [],
        }

    def _extras(self, resource: OpenResource) -> list[tuple[str, str]]:
        content = resource.content
        phone = content.contact.phone if content.contact else ""
        return [
            ("title_en", content.title.en),
            ("notes_en", content.summary.en),
            ("language", "zh"),
            ("classification", content.classification),
            ("frequency", content.update_cycle.value),
            ("share_type", content.share_type.value),
            ("publisher_code", resource.department),
            ("contact_phone", phone),
            ("spatial_text", content.spatial),
            ("temporal_start", content.temporal_start.isoformat() if content.temporal_start else ""),
            ("temporal_end", content.temporal_end.isoformat() if content.temporal_end else ""),
            ("open_condition", content.open_condition),
            ("uri", f"{self._base}/open/{resource.id}#dataset"),
            (DECLARED_KEY, content.model_dump_json()),
        ]

    def resources(self, resource: OpenResource) -> list[Document]:
        """Return a resource's distributions as CKAN resources: its page in the portal, then what is declared."""
        page = f"{self._base}/open/{resource.id}"
        portal = Distribution(
            id=PORTAL_DISTRIBUTION, title=PORTAL_PAGE, media_type="text/html", access_url=page, open=True
        )
        return [
            {
                "id": distribution_id(resource.id, entry.id),
                "package_id": resource.id,
                "name": entry.title.zh or entry.title.en,
                "description": entry.title.en,
                "url": entry.download_url or entry.access_url,
                "access_url": entry.access_url,
                "download_url": entry.download_url,
                "format": format_name(entry),
                "mimetype": entry.media_type or None,
                "size": entry.bytes,
                "position": position,
                "created": ckan_time(resource.first_opened_at),
                "last_modified": ckan_time(resource.changed_at),
                "metadata_modified": ckan_time(resource.changed_at),
                "state": "active",
                "resource_type": "file" if entry.download_url else "page",
                "url_type": None,
                "hash": "",
                "datastore_active": False,
                "distribution_id": entry.id,
            }
            for position, entry in enumerate((portal, *resource.content.distributions))
        ]

    def organisation(self, department: Department, *, count: int | None = None) -> Document:
        """Return a department as an organization."""
        found: Document = {
            "id": organisation_id(department.code),
            "name": organisation_name(department.code),
            "title": department.name.zh,
            "display_name": department.name.zh,
            "description": department.name.en,
            "image_url": "",
            "is_organization": True,
            "type": "organization",
            "state": "active",
            "approval_status": "approved",
        }
        return found if count is None else found | {"package_count": count}

    def group(self, key: str, *, count: int | None = None) -> Document:
        """Return a theme as a group."""
        name = self.themes[key].name
        found: Document = {
            "id": group_id(key),
            "name": key,
            "title": name.zh,
            "display_name": name.zh,
            "description": name.en,
            "image_display_url": "",
            "is_organization": False,
            "type": "group",
            "state": "active",
        }
        return found if count is None else found | {"package_count": count}

    def licence(self, licence: Licence) -> Document:
        """Return a licence of the pack."""
        return {
            "id": licence.key,
            "title": licence.name.zh,
            "url": licence.url,
            "status": "active",
            "is_okd_compliant": True,
            "is_generic": False,
            "domain_content": True,
            "domain_data": True,
            "domain_software": False,
            "od_conformance": "approved",
            "maintainer": "",
            "family": "",
        }


def tag(word: str) -> Document:
    """Return a keyword as a tag."""
    return {
        "id": str(uuid.uuid5(NAMESPACE, f"tag/{word}")),
        "name": word,
        "display_name": word,
        "state": "active",
        "vocabulary_id": None,
    }


def organisation_id(code: DepartmentCode) -> str:
    """Return a department's UUID."""
    return str(uuid.uuid5(NAMESPACE, f"organization/{code}"))


def organisation_name(code: DepartmentCode) -> str:
    """Return a department's name in addresses: CKAN allows lower case only."""
    return code.lower()


def group_id(key: str) -> str:
    """Return a theme's UUID."""
    return str(uuid.uuid5(NAMESPACE, f"group/{key}"))


def ckan_time(at: datetime) -> str:
    """Return a time as CKAN writes it: UTC, without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")

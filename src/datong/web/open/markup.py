"""An open resource in the words of schema.org, for search engines: `schema:Dataset` as JSON-LD within its page."""

from collections.abc import Mapping

from datong.catalogue import Department, OpenResource
from datong.kernel import Text
from datong.norms import NormPack
from datong.web.open.dcat import TITLE
from datong.web.open.licences import licence_of


def schema_org(
    resource: OpenResource, *, base_url: str, pack: NormPack, department: Department | None
) -> dict[str, object]:
    """Return the description of `resource`; what it does not say is left out."""
    content = resource.content
    page = f"{base_url}/open/{resource.id}"
    licence = licence_of(pack, content.licence)
    start, end = content.temporal_start, content.temporal_end
    found: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "Dataset",
        "@id": f"{page}#dataset",
        "url": page,
        "identifier": resource.id,
        "name": content.title.zh,
        "alternateName": content.title.en,
        "description": content.summary.zh or content.title.zh,
        "inLanguage": "zh",
        "keywords": list(content.keywords),
        "license": (licence.url or licence.name.zh) if licence else "",
        "isAccessibleForFree": True,
        "version": str(resource.edition),
        "datePublished": resource.first_opened_at.date().isoformat(),
        "dateModified": resource.changed_at.date().isoformat(),
        "temporalCoverage": f"{start or '..'}/{end or '..'}" if start or end else "",
        "spatialCoverage": content.spatial,
        "creator": _organisation(department.name) if department else None,
        "publisher": _organisation(department.name) if department else None,
        "includedInDataCatalog": {"@type": "DataCatalog", "name": TITLE.zh, "url": f"{base_url}/open"},
        "variableMeasured": [
            {"@type": "PropertyValue", "name": item.name.zh, "alternateName": item.column} for item in content.items
        ],
        "distribution": [
            {
                "@type": "DataDownload",
                "name": entry.title.zh,
                "contentUrl": entry.download_url or entry.access_url,
                "encodingFormat": entry.media_type,
            }
            for entry in content.distributions
        ],
    }
    return {name: value for name, value in found.items() if value not in ("", None, [])}


def _organisation(name: Text) -> Mapping[str, str]:
    return {"@type": "GovernmentOrganization", "name": name.zh}

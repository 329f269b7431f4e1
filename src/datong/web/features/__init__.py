"""OGC API – Features (OGC 17-069r4, ISO 19168-1) over the spatial library, at `/ogc`."""

from datong.web.features.routes import router as features_router

__all__ = ["features_router"]

"""Delta Sharing: the REST protocol by which its clients read whole tables (PROTOCOL.md of delta-io/delta-sharing)."""

from datong.web.delta_sharing.routes import router

__all__ = ["router"]

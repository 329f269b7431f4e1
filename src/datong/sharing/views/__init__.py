"""Saved views: the filters of a list under a name, for oneself or for the department."""

from datong.sharing.views.views import VIEWED_PAGES, SavedView, SavedViews, ViewDraft, view_query

__all__ = ["VIEWED_PAGES", "SavedView", "SavedViews", "ViewDraft", "view_query"]

"""The moment at which tests of the exchange stand."""

from datetime import UTC, datetime

NOW = datetime(2026, 1, 5, tzinfo=UTC)

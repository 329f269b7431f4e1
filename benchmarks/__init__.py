"""Measurements, each run as `python -m benchmarks.NAME` and ending in one JSON line on stdout (docs/benchmarks.md)."""

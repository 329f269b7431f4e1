"""The worked examples of CONTRIBUTING.md, and that they work."""

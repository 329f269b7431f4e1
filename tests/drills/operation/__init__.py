"""The operator's guide, done."""

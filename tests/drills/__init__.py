"""Long stories of operation: the guides as typed, the demo, a hub as processes, libraries built on Spark."""

"""Long stories of operation, played with what an installation has: the guides as typed, the demo, a hub as processes."""

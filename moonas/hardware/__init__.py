"""Numbers about devices: what a network does there, and how long it takes."""

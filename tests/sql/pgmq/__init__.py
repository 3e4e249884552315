"""What the core and its clients count on from pgmq, whichever way it was installed."""

"""What is announced through ``realtime.send``, and in which order."""

"""What the statements of the core read and write, whatever lies in the tables. Nothing here is timed."""

"""What becomes of a step whose task failed for good."""

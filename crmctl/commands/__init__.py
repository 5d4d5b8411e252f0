"""The verbs: one file each parses flags, calls the pipeline and prints a report."""

"""What is said of a filter or of its motif, in every table and report: the words, once."""

ACTIVE = "active"  # a filter with sites
DEAD = "dead"  # a filter that is never above 0, or the same everywhere; the second name of its motif in files
NO_INFORMATION = "no information"  # a motif without an informative position
MATCHED, NO_MATCH = "matched", "no match"  # of a motif that was compared with a database

"""Reports: the types they are made from, and the pages that show them."""

from kipoi_motifrep.report.schema import (
    Citation,
    DatabaseSummary,
    FilterGroup,
    FilterRow,
    GroupMember,
    HeatMap,
    KnownMotifRow,
    MatchRow,
    Metric,
    NetworkSummary,
    NullModel,
    Report,
    read_interpretation,
    write_interpretation,
)

__all__ = [
    "Citation",
    "DatabaseSummary",
    "FilterGroup",
    "FilterRow",
    "GroupMember",
    "HeatMap",
    "KnownMotifRow",
    "MatchRow",
    "Metric",
    "NetworkSummary",
    "NullModel",
    "Report",
    "read_interpretation",
    "write_interpretation",
]

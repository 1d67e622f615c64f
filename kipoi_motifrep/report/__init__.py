"""Reports: the types they are made from, and the pages that show them."""

from kipoi_motifrep.report.schema import (
    Citation,
    Database,
    Figure,
    FilterRow,
    Group,
    GroupMember,
    HeatMap,
    MatchRow,
    Network,
    Null,
    Report,
    TruthRow,
    read_interpretation,
    write_interpretation,
)

__all__ = ["Citation", "Database", "Figure", "FilterRow", "Group", "GroupMember", "HeatMap", "MatchRow", "Network",
           "Null", "Report", "TruthRow", "read_interpretation", "write_interpretation"]

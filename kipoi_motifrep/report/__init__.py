"""Reports: the types they are made from, and the pages that show them."""

from kipoi_motifrep.report.schema import Report, read_interpretation, write_interpretation

__all__ = ["Report", "read_interpretation", "write_interpretation"]

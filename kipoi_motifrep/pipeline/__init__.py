"""The pipelines: a model interpreted, its predictions along a genome, many models beside each other."""

from kipoi_motifrep.pipeline.interpretation import Interpretation, interpret

__all__ = ["Interpretation", "interpret"]

"""Networks: where a model reads DNA, in which axis order, and its activations."""

from kipoi_motifrep.networks.layout import NO_BASE, Layout
from kipoi_motifrep.networks.loading import load_model, open_network
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.types import Field, FilterBank

__all__ = ["NO_BASE", "Field", "FilterBank", "Layout", "Network", "load_model", "open_network"]

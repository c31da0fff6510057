"""What the numbers inside a network, and those fed into it, say before training goes wrong."""

from fanin.diagnostics.activations import ActivationReport, LayerStatistics
from fanin.diagnostics.data_report import DataFinding, DataReport, data_report
from fanin.diagnostics.reports import activation_report, activation_statistics

__all__ = [
    "ActivationReport",
    "DataFinding",
    "DataReport",
    "LayerStatistics",
    "activation_report",
    "activation_statistics",
    "data_report",
]

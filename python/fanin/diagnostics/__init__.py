"""Checks of data, activations, gradients and initialisation, before training goes wrong."""

from fanin.diagnostics.activations import ActivationReport, LayerStatistics, activation_report
from fanin.diagnostics.data_report import DataReport, data_report
from fanin.diagnostics.findings import DataFinding, Finding
from fanin.diagnostics.init_experiment import activation_statistics
from fanin.diagnostics.rare_classes import never_predicted

__all__ = [
    "ActivationReport",
    "DataFinding",
    "DataReport",
    "Finding",
    "LayerStatistics",
    "activation_report",
    "activation_statistics",
    "data_report",
    "never_predicted",
]

"""Protocols: everything about one point, and a first study of several."""

from thalweg.study._demo import DemoSettings, demo
from thalweg.study._measure import MeasureSettings, measure
from thalweg.study._results import Connection, Findings, Measurement

__all__ = ["Connection", "DemoSettings", "Findings", "MeasureSettings", "Measurement", "demo", "measure"]

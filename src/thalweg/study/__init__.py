"""Protocols: everything about one point, and a first study of several."""

from thalweg.study._demo import DemoSettings, demo
from thalweg.study._results import Connection, Findings, Measurement
from thalweg.study._survey import SurveySettings, survey

__all__ = ["Connection", "DemoSettings", "Findings", "Measurement", "SurveySettings", "demo", "survey"]

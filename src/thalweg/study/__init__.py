"""Protocols: everything about one point, and a first study of several."""

from thalweg.study._demo import DemoSettings, demo
from thalweg.study._results import Connection, Findings, Measurement
from thalweg.study._survey import SurveySettings, survey
from thalweg.study._survey_cost import survey_cost

__all__ = ["Connection", "DemoSettings", "Findings", "Measurement", "SurveySettings", "demo", "survey", "survey_cost"]

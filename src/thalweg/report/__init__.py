"""The report: a page for people, ``results.json`` for programs, and the figures."""

from thalweg.report._store import SCHEMA, read_results
from thalweg.report._write import write_report

__all__ = ["SCHEMA", "read_results", "write_report"]

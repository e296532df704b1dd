"""The tests, a package so that they can share their oracles."""

from tests import typechecking as typechecking

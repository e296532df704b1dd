"""Data sets: embedded, synthetic, and read from files in their canonical formats."""

from thalweg.data._cifar import cifar10
from thalweg.data._dataset import Dataset
from thalweg.data._digits import digits
from thalweg.data._gaussian import gaussian
from thalweg.data._load import load
from thalweg.data._mnist import fashion_mnist, mnist

__all__ = ["Dataset", "cifar10", "digits", "fashion_mnist", "gaussian", "load", "mnist"]

"""The small zoo: networks whose normalisation, shortcuts and width are switches."""

from thalweg.models._mlp import mlp
from thalweg.models._resnet20 import resnet20
from thalweg.models._simple_resnet import simple_resnet
from thalweg.models._vanilla_cnn import vanilla_cnn

__all__ = ["mlp", "resnet20", "simple_resnet", "vanilla_cnn"]

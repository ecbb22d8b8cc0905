"""The settings of a plan of an extension."""

from dataclasses import dataclass

from ..pretraining.plan_config import PlanSettings
from .config import ExtendContextConfig


@dataclass
class ExtensionPlanConfig(PlanSettings, ExtendContextConfig):
    """Reckons memory, time and communication of extending a model's window, without reading the model.

    Takes every setting of extend_context.py; the model's shape is that of the settings, the paper's 13B by default.
    """

"""nec13b: the pipeline of NEC's 13B Japanese LLM on the Hugging Face stack.

Importing the package makes the model known to transformers, so that
`AutoModelForCausalLM.from_pretrained(folder)` loads it without remote code.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from .configuration_nec13b import Nec13bConfig
from .modeling_nec13b import Nec13bForCausalLM, Nec13bModel
from .rope_interpolation import RopeInterpolation

__version__ = "0.1.0"

AutoConfig.register("nec13b", Nec13bConfig, exist_ok=True)
AutoModel.register(Nec13bConfig, Nec13bModel, exist_ok=True)
AutoModelForCausalLM.register(Nec13bConfig, Nec13bForCausalLM, exist_ok=True)

__all__ = ["Nec13bConfig", "Nec13bForCausalLM", "Nec13bModel", "RopeInterpolation"]

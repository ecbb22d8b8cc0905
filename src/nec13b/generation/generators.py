"""The generator that settings name."""

from .generator import Generator
from .generator_settings import GeneratorSettings


def open_generator(settings: GeneratorSettings, seed: int) -> Generator:
    """The generator that the settings name.

    Args:
        settings: which model, where it runs.
        seed: of replies that are asked for without one of their own.

    Raises:
        InputError: it cannot be had.
    """
    if settings.generator == "endpoint":
        from .endpoint_generator import EndpointGenerator

        return EndpointGenerator(settings)
    from .batch_generator import transformers_generator, vllm_generator

    return (vllm_generator if settings.generator == "vllm" else transformers_generator)(settings, seed)

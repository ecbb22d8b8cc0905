"""The machine configs parse under the installed accelerate and say what their names say; the CPU ones run in
tests/recipes/test_pretrain.py."""

import math
from dataclasses import replace

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import _filter_args, prepare_multi_gpu_env
from torch.distributed.run import config_from_args, get_args_parser

from nec13b.alignment.align_config import AlignConfig
from nec13b.chat_tuning.tuning_config import ChatTuneConfig
from nec13b.errors import InputError
from nec13b.long_context import ExtendContextConfig
from nec13b.pretraining import PretrainConfig
from nec13b.pretraining.config import accumulation_steps
from nec13b.pretraining.layout import Layout
from nec13b.recipe_config import parse_recipe_config

SHAPES = {
    "cpu": ("NO", 1, 1),
    "cpu_2proc": ("MULTI_GPU", 1, 2),
    "one_gpu": ("NO", 1, 1),
    "ddp_1x8": ("MULTI_GPU", 1, 8),
    "fsdp_1x8": ("FSDP", 1, 8),
    "fsdp_64x8": ("FSDP", 64, 512),
    "hsdp_64x8": ("FSDP", 64, 512),
    "hsdp_tp_64x8": ("MULTI_GPU", 64, 512),
    "fsdp_cp_1x8": ("FSDP", 1, 8),
    "fsdp_cp_64x8": ("FSDP", 64, 512),
    "zero1_64x8": ("DEEPSPEED", 64, 512),
    "zero3_64x8": ("DEEPSPEED", 64, 512),
}


def test_no_config_is_left_out(root):
    assert {path.stem for path in (root / "accelerate_configs").glob("*.yaml")} == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_configs_parse_and_launch_what_their_name_says(root, name):
    path = str(root / "accelerate_configs" / f"{name}.yaml")
    config = load_config_from_file(path)
    assert (config.distributed_type.value, config.num_machines, config.num_processes) == SHAPES[name]
    arguments = launch_command_parser().parse_args(["--config_file", path, "recipes/pretrain.py"])
    arguments, *_ = _validate_launch_command(arguments)
    assert arguments.num_processes == SHAPES[name][2]
    if SHAPES[name][0] == "FSDP":
        assert arguments.use_fsdp
        assert arguments.fsdp_version == 2
        assert arguments.fsdp_state_dict_type == "SHARDED_STATE_DICT"
        assert arguments.mixed_precision == "bf16"


@pytest.mark.parametrize("name", [name for name, (_, machines, _) in SHAPES.items() if machines > 1])
def test_all_servers_meet_at_the_first_and_keep_their_ranks(root, name):
    flags = ["--config_file", str(root / "accelerate_configs" / f"{name}.yaml"), "--machine_rank", "3"]
    flags += ["--main_process_ip", "node0", "--main_process_port", "29876", "recipes/pretrain.py"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(flags))
    prepare_multi_gpu_env(arguments)
    script = ["--training_script", arguments.training_script, "--training_script_args", []]
    config, _, _ = config_from_args(_filter_args(arguments, get_args_parser(), script))
    assert (config.rdzv_backend, config.rdzv_endpoint) == ("static", "node0:29876")
    assert config.rdzv_configs["rank"] == 3
    assert (config.min_nodes, config.nproc_per_node) == (64, 8)


@pytest.mark.parametrize("name", ["hsdp_64x8", "hsdp_tp_64x8", "fsdp_cp_1x8", "fsdp_cp_64x8"])
def test_the_sizes_of_the_groups_multiply_to_the_processes(root, name):
    config = load_config_from_file(str(root / "accelerate_configs" / f"{name}.yaml"))
    sizes = [size for key, size in config.parallelism_config.items() if key.endswith("_size")]
    assert math.prod(sizes) == config.num_processes


def test_the_layer_that_is_wrapped_is_the_models(root):
    from nec13b import Nec13bForCausalLM

    config = load_config_from_file(str(root / "accelerate_configs" / "fsdp_64x8.yaml"))
    assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] in Nec13bForCausalLM._no_split_modules


# What docs/cluster.md says of the stages: preset, accelerate config, servers, and whether a step has rows for all GPUs.
STAGES = [
    ("pretrain", "fsdp_1x8", 1, True),
    ("pretrain", "hsdp_64x8", 64, True),
    ("extend_context_8k", "fsdp_1x8", 1, True),
    ("extend_context_8k", "hsdp_64x8", 64, True),
    ("extend_context_32k", "fsdp_cp_1x8", 1, True),
    ("extend_context_32k", "fsdp_cp_64x8", 64, True),
    ("chat_tune", "fsdp_1x8", 1, True),
    ("chat_tune", "hsdp_64x8", 8, True),
    ("chat_tune", "hsdp_64x8", 16, False),
    ("chat_tune_lora", "one_gpu", 1, True),
    ("chat_tune_lora", "ddp_1x8", 1, True),
    ("align", "fsdp_1x8", 1, True),
    ("align", "hsdp_64x8", 16, True),
    ("align", "hsdp_64x8", 32, False),
    ("align_lora", "one_gpu", 1, True),
    ("align_lora", "ddp_1x8", 1, True),
]


@pytest.mark.parametrize(("preset", "machine", "servers", "fits"), STAGES)
def test_a_13b_preset_fits_the_machines_that_are_named_for_it(root, preset, machine, servers, fits):
    recipe = next(name for name in ("pretrain", "extend_context", "chat_tune", "align") if preset.startswith(name))
    config_class = {"pretrain": PretrainConfig, "extend_context": ExtendContextConfig, "chat_tune": ChatTuneConfig,
                    "align": AlignConfig}[recipe]  # fmt: skip
    flags = ["--config", str(root / "recipes" / "configs" / "13b" / f"{preset}.yaml")]
    config = parse_recipe_config(config_class, str(root / "recipes" / f"{recipe}.py"), flags)
    path = root / "accelerate_configs" / f"{machine}.yaml"
    layout = layout_of(path, servers)
    if fits:
        assert passes(config, layout) >= 1
    else:
        with pytest.raises(InputError, match="is not a multiple of"):
            passes(config, layout)


def layout_of(path, servers: int) -> Layout:
    """The layout of a file on so many servers; under HSDP each of them has a copy, as in the Slurm script."""
    layout = Layout.from_accelerate_config(path)
    if servers == layout.machines:
        return layout
    return replace(layout, machines=servers, processes=8 * servers, replicate=servers)


def passes(config, layout: Layout) -> int:
    """Forward passes of a step."""
    if isinstance(config, PretrainConfig):
        return accumulation_steps(
            config.tokens_per_batch, config.sequence_length, config.per_device_train_batch_size, layout.data_parallel
        )
    config.fit_to(layout)
    return config.gradient_accumulation_steps

"""The machine configs parse under the installed accelerate and say what their names say; the CPU ones run in
tests/recipes/test_pretrain.py."""

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

SHAPES = {
    "cpu": ("NO", 1, 1),
    "cpu_2proc": ("MULTI_GPU", 1, 2),
    "one_gpu": ("NO", 1, 1),
    "fsdp_1x8": ("FSDP", 1, 8),
    "fsdp_64x8": ("FSDP", 64, 512),
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
    if name.startswith("fsdp"):
        assert arguments.use_fsdp
        assert arguments.fsdp_version == 2
        assert arguments.fsdp_state_dict_type == "SHARDED_STATE_DICT"
        assert arguments.mixed_precision == "bf16"


def test_the_layer_that_is_wrapped_is_the_models(root):
    from nec13b import Nec13bForCausalLM

    config = load_config_from_file(str(root / "accelerate_configs" / "fsdp_64x8.yaml"))
    assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] in Nec13bForCausalLM._no_split_modules

"""What learns: the base as it is loaded, with a LoRA beside its upper layers or with these layers opened, and written.

Most of a language model knows English and the world, and is left alone. What changes are small matrices (LoRA, Hu et
al. 2021, arXiv 2106.09685) beside the projections: a few megabytes that the engine adds to the base while it speaks.
Or, where that is wanted, every weight of the layers. Products of matrices run in bfloat16 where the processor has
instructions for it: about twice as fast.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import peft
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from bot.errors import TrainingFailed
from bot.shelf.forms import TOKENIZER
from bot.training.disk import writing
from bot.training.job import ADAPTER, Asking, Job
from bot.training.prepare import FLOAT16_LIMIT

LAST_NORM = {"gpt2": "ln_f", "llama": "norm"}  # kind of base to the name of the norm before its head


def load_base(job: Asking) -> PreTrainedModel:
    """The base, frozen, on the device and in the precision that suits it."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(job.threads or max(1, len(os.sched_getaffinity(0)) - 1))
    device = job.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise TrainingFailed('PyTorch finds no CUDA device here. Set [training] device to "cpu" or "auto".')
    precision = job.precision
    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16(device) else "float32"
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        job.base,
        dtype=precision,
        local_files_only=True,
        # On two cores and rows as short as tweets "eager" is a fifth faster in a step than "sdpa".
        attn_implementation="eager" if device == "cpu" else "sdpa",
    )
    model.train(False)  # no dropout: it costs the fused products, and stopping early does its work
    model.requires_grad_(False)
    model.to(device)  # type: ignore[arg-type]
    return model


def multiplies_bfloat16(device: str) -> bool:
    """Whether the device has instructions for products in bfloat16."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def layers_of(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Name and list of the decoder layers."""
    for name, module in model.base_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return name, module
    raise TrainingFailed(f"Bases of the kind {model.config.model_type} can't be learned on. Choose another base.")


def open_upper(model: PreTrainedModel, job: Job) -> PreTrainedModel:
    """The same model; every weight of its upper layers and of the norm behind them learns, and is in float32.

    The token embeddings, which are the head as well, stay as they are: what stands below is computed once for all
    epochs, and the head's sample is one of a head that does not move.
    """
    _, layers = layers_of(model)
    last = [getattr(model.base_model, name) for name in LAST_NORM.values() if hasattr(model.base_model, name)]
    for module in [*layers[lowest_layer(model, job) :], *last]:
        module.float().requires_grad_(True)
    return model


def attach(model: PreTrainedModel, job: Job) -> peft.PeftModel:
    """A LoRA beside every projection of the upper layers: peft's model around the base, and inside of it."""
    torch.manual_seed(job.seed)
    return peft.get_peft_model(model, lora(model, job.rank, 2 * job.rank, lowest_layer(model, job)))


def lora(model: PreTrainedModel, rank: int, alpha: int, first: int) -> peft.LoraConfig:
    """An adapter beside every projection of the layers from number `first` on; it counts `alpha` / `rank` times."""
    _, layers = layers_of(model)
    projections = {name: each for name, each in layers.named_modules() if isinstance(each, nn.Linear | Conv1D)}
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=sorted({name.rpartition(".")[2] for name in projections}),
        layers_to_transform=list(range(first, len(layers))),
        fan_in_fan_out=isinstance(next(iter(projections.values())), Conv1D),
    )


def lowest_layer(model: PreTrainedModel, job: Job) -> int:
    """Number of the lowest layer that learns."""
    _, layers = layers_of(model)
    return max(len(layers) - job.layers, 0) if job.layers else 0


def write(learner: peft.PeftModel | PreTrainedModel, job: Job) -> None:
    """What was learned, as `peft.PeftModel` or `transformers` reads it; the last thing that is done with the learner.

    In float16: half the size, and no difference that a loss could show.
    """
    with writing():
        if isinstance(learner, peft.PeftModel):
            write_adapter(learner, job.folder, job.base_name)
        else:
            learner.config._name_or_path = job.base_name  # transformers would name a folder of this machine
            fits = all(weight.abs().max() < FLOAT16_LIMIT for weight in learner.parameters())
            (learner.half() if fits else learner.float()).save_pretrained(job.folder)
            shutil.copyfile(job.base / TOKENIZER, job.folder / TOKENIZER)  # the folder is enough for whoever loads it


def write_adapter(adapted: peft.PeftModel, folder: Path, base_name: str) -> None:
    """The adapter, its layers numbered as in the whole model."""
    state = peft.get_peft_model_state_dict(adapted)
    save_file({name: weight.half().cpu().contiguous() for name, weight in state.items()}, folder / ADAPTER)
    config = adapted.peft_config["default"]
    config.inference_mode = True
    config.base_model_name_or_path = base_name  # peft would name a folder of this machine
    config.save_pretrained(folder)

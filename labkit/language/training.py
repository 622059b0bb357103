"""How the built-in model was made.

::

    python -m labkit.language.training train     train it; goes on where it was stopped
    python -m labkit.language.training report    measure it and write data/MODEL_CARD_LANGUAGE.md

All draws are seeded; floating-point sums depend on the processor, so new weights differ in their
last digits, and after thousands of steps their bits per character by about a hundredth.
"""

import argparse
import hashlib
import math
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import ConcatDataset
from tqdm import tqdm

from labkit.language.loading import load_model
from labkit.language.measuring import measure
from labkit.language.model import Config, LanguageModel
from labkit.language.storing import save_model
from labkit.language.text import load_text, training_texts
from labkit.language.tokenizers import CharacterTokenizer

DATA = Path(__file__).parent.parent / "data"
NAME = "shakespeare"
SEED = 7
STEPS, BATCH, CONTEXT = 2_000, 32, 128
RATE, WARM_UP, DECAY = 3e-3, 200, 0.1
SAVE_EVERY = 200


def config_for(vocabulary: int) -> Config:
    """Return the sizes of the built-in model."""
    return Config(
        vocabulary=vocabulary,
        width=128,
        hidden=384,
        blocks=6,
        heads=4,
        kv_heads=2,
        context=CONTEXT,
    )


def new_model(config: Config) -> LanguageModel:
    """Return an untrained model, whose blocks add little to the stream at first.

    Radford et al. 2019 ("Language Models are Unsupervised Multitask Learners"), section 2.3.
    """
    model = LanguageModel(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            adds = name.endswith(("attention.o.weight", "mlp.down.weight"))
            spread = 0.02 / (2 * config.blocks) ** 0.5 if adds else 0.02
            nn.init.normal_(parameter, std=spread)
    return model


def batch(windows: ConcatDataset, generator: torch.Generator) -> Tensor:
    """Draw BATCH windows, all equally likely: int64 [BATCH, CONTEXT + 1]."""
    drawn = torch.randint(len(windows), (BATCH,), generator=generator)
    return torch.stack([windows[number] for number in drawn.tolist()])


def train(folder: Path = DATA, steps: int = STEPS) -> None:
    """Train the built-in model and write its weights, float16.

    AdamW; the learning rate rises for WARM_UP steps and then falls to zero along a cosine. Every
    SAVE_EVERY steps all that is needed to go on is written to a file beside the weights, which goes
    at the end.
    """
    texts = training_texts()
    tokenizer = CharacterTokenizer("".join(sorted(set("".join(texts)))))
    # All windows of a text, one a character: none reaches into what is held out.
    unfolded = [tokenizer.encode(text).unfold(0, CONTEXT + 1, 1) for text in texts]
    windows: ConcatDataset = ConcatDataset(unfolded)  # type: ignore[arg-type]  # Tensors will do.
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = new_model(config_for(len(tokenizer.characters)))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, RATE, betas=(0.9, 0.99))
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARM_UP, total_iters=WARM_UP)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - WARM_UP)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [WARM_UP])
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    checkpoint = folder / f"{NAME}.checkpoint.pt"
    done = _resume(checkpoint, parts, generator)
    bar = tqdm(range(done, steps), NAME, initial=done, total=steps, mininterval=5)
    for step in bar:
        window = batch(windows, generator)
        # bfloat16 halves the time where the processor has it; the weights stay float32.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        if (step + 1) % SAVE_EVERY == 0:
            _keep(checkpoint, step + 1, parts, generator)
            print(f"\nstep {step + 1}: held out {held_out_bits(model, tokenizer):.3f}", flush=True)
    save_model(model.half(), folder / f"{NAME}.safetensors", tokenizer)
    checkpoint.unlink(missing_ok=True)


def held_out_bits(model: LanguageModel, tokenizer: CharacterTokenizer) -> float:
    """Return bits a character on a part of the held-out text, to watch the training by."""
    windows = tokenizer.encode(load_text("held-out"))[: 64 * CONTEXT].view(64, CONTEXT)
    with torch.inference_mode():
        logits = model(windows)[:, :-1].flatten(0, 1)
    return float(F.cross_entropy(logits, windows[:, 1:].flatten()) / torch.tensor(2.0).log())


def _keep(path: Path, done: int, parts: dict, generator: torch.Generator) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"done": done, "draw": generator.get_state(), **state}, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def _resume(path: Path, parts: dict, generator: torch.Generator) -> int:
    """Return how many steps are done, 0 where there is nothing to go on from."""
    if not path.exists():
        return 0
    kept = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    generator.set_state(kept["draw"])
    return kept["done"]


def report() -> None:
    """Measure the trained model and write the model card beside its weights."""
    path = DATA / f"{NAME}.safetensors"
    model, tokenizer = load_model(NAME)
    c = model.config
    texts = {"held-out": load_text("held-out"), "trained on": load_text("calibration")}
    rows = []
    for name, text in texts.items():
        tokens = tokenizer.encode(text)
        windows = tokens[: len(tokens) // CONTEXT * CONTEXT].view(-1, CONTEXT)
        found = measure(model, windows, progress=True)
        error = found.loss_error / math.log(2)
        rows.append(f"| {name} | {found.losses.numel()} | {found.bits:.3f} ± {error:.3f} |")
    content = path.read_bytes()
    card = f"""# The built-in language model

Written by `python -m labkit.language.training report`. `python -m labkit.language.training train`
trained it in {STEPS} steps of {BATCH} windows of {CONTEXT} characters, on tinyshakespeare without
the {len(texts["held-out"])} characters that are held out.

| file | bytes | SHA-256 |
| --- | --- | --- |
| `{path.name}` | {len(content)} | `{hashlib.sha256(content).hexdigest()}` |

{sum(p.numel() for p in model.parameters())} parameters, stored as float16: {c.blocks} blocks of
width {c.width}, {c.heads} heads of {c.head_width} ({c.kv_heads} for keys and values), MLPs of
{c.hidden}, {c.vocabulary} characters. It is the kind of model that
`labkit.language.model` describes.

| text | characters predicted | bits a character |
| --- | --- | --- |
{chr(10).join(rows)}

In windows of {CONTEXT} characters, the first of each given. ± is the standard error of the mean, as
if characters were independent. "Trained on" are {len(texts["trained on"])} of the characters that
the model was trained on, those of `load_text("calibration")`.
"""
    (DATA / "MODEL_CARD_LANGUAGE.md").write_text(card, encoding="utf-8")


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(prog="python -m labkit.language.training", description=__doc__)
    parser.add_argument("step", choices=("train", "report"))
    if parser.parse_args().step == "train":
        train()
    else:
        report()


if __name__ == "__main__":
    main()

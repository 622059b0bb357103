"""The script behind the built-in language model, with few steps of a small one."""

import pytest
import torch
from safetensors.torch import load_file

from labkit.language import Config, load_model, load_text, measure, read_model, training


@pytest.fixture
def small(monkeypatch):
    for name, value in {"BATCH": 2, "CONTEXT": 8, "WARM_UP": 2, "SAVE_EVERY": 2}.items():
        monkeypatch.setattr(training, name, value)
    monkeypatch.setattr(
        training, "config_for", lambda n: Config(n, 16, 32, 1, heads=2, kv_heads=1, context=8)
    )
    texts = ("to be, or not to be: " * 3, "that is the question. " * 3)
    monkeypatch.setattr(training, "training_texts", lambda: texts)
    monkeypatch.setattr(training, "load_text", lambda name: texts[0] * 10)


def test_training_goes_on_where_it_was_stopped(small, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    training.train(tmp_path / "whole", steps=6)
    (tmp_path / "stopped").mkdir()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(training, "held_out_bits", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(tmp_path / "stopped", steps=6)
    assert [f.name for f in (tmp_path / "stopped").iterdir()] == ["shakespeare.checkpoint.pt"]
    training.train(tmp_path / "stopped", steps=6)
    files = [tmp_path / name / "shakespeare.safetensors" for name in ("whole", "stopped")]
    whole, resumed = (load_file(file) for file in files)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert next(iter(whole.values())).dtype == torch.float16
    assert read_model(files[0])[1].characters == "".join(sorted(set("to be, or not: hat is quen.")))
    # The checkpoint goes at the end.
    assert [file.name for file in files[1].parent.iterdir()] == ["shakespeare.safetensors"]


def test_no_window_crosses_from_one_text_into_the_other(small):
    texts = [torch.arange(20), torch.arange(100, 130)]
    windows = torch.utils.data.ConcatDataset([t.unfold(0, 9, 1) for t in texts])
    drawn = [training.batch(windows, torch.Generator().manual_seed(seed)) for seed in range(40)]
    assert torch.equal(torch.cat(drawn).diff(dim=1), torch.ones(80, 8, dtype=torch.int64))
    assert {int(window[0]) for window in torch.cat(drawn)} > {0, 11, 100, 121}


def test_the_card_says_what_the_model_does():
    card = (training.DATA / "MODEL_CARD_LANGUAGE.md").read_text("utf-8")
    model, tokenizer = load_model("shakespeare")
    assert f"{sum(p.numel() for p in model.parameters())} parameters" in card
    assert (training.DATA / "shakespeare.safetensors").stat().st_size < 3e6
    stated = float(card.split("| held-out | ")[1].split("| ")[1].split(" ±")[0])
    tokens = tokenizer.encode(load_text("held-out"))[: 32 * 128].view(32, 128)
    found = measure(model, tokens)
    assert abs(found.bits - stated) < 6 * found.loss_error

"""The trainer's configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from galago.errors import OptionError
from galago.train.nano.config import CONFIGS, ClipTrainConfig, load_config
from galago.train.nano.data.wide import WideTasks

CONFIG = CONFIGS / "fastvlm-nano.toml"


def test_config_of_the_embedded_model() -> None:
    config = load_config(CONFIG)
    assert config.name == "fastvlm-nano" and config.side % 64 == 0
    names = [stage.name for stage in config.stages]
    assert names[0] == "encoder" and len(set(names)) == len(names)  # each has its own checkpoint
    assert config.stages[-1].batch[0][0] == config.side


def test_a_typing_mistake_in_a_config_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(CONFIG.read_text().replace("warmup", "warm_up", 1))
    with pytest.raises(OptionError, match="warm_up"):
        load_config(wrong)


def test_a_config_with_two_towers_is_told_apart() -> None:
    config = load_config(CONFIG.with_name("mobileclip2-nano.toml"))
    assert isinstance(config, ClipTrainConfig) and config.clip.vocab == 8192
    assert all(stage.loss == "contrastive" for stage in config.stages)
    assert not isinstance(load_config(CONFIG), ClipTrainConfig)


@pytest.mark.parametrize("name", ["fastvlm-nano", "mobileclip2-nano"])
def test_the_wide_training_starts_from_what_is_published(name: str) -> None:
    """Its networks have the published shapes, and every kind of picture that it asks for exists."""
    wide, published = (load_config(CONFIGS / f"{name}{end}.toml") for end in ("-wide", ""))
    assert wide.vision == published.vision and wide.side == published.side
    if isinstance(wide, ClipTrainConfig) and isinstance(published, ClipTrainConfig):
        assert wide.clip == published.clip
    elif not isinstance(wide, ClipTrainConfig) and not isinstance(published, ClipTrainConfig):
        assert wide.text == published.text
        kinds = {kind for stage in wide.stages for _, counts in stage.batch for kind in counts}
        assert all(hasattr(WideTasks, f"_{kind}") for kind in kinds) and "rooms" in kinds
    counts = [n for stage in wide.stages for _, some in stage.batch for n in some.values()]
    assert all(n % 2 == 0 for n in counts)  # an even share for each of two processes

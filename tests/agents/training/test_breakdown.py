"""A run whose loss is no number any more stops, says which term it was, and keeps the last good checkpoint."""

from dataclasses import replace

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.runs.checkpoint import find_checkpoint, load_policy
from batchsim.agents.training.build import make_policy
from batchsim.agents.training.training_run import TrainingRun


@pytest.mark.parametrize(("broken", "named"), [("returns", "value_loss"), ("advantages", "policy_loss")])
def test_the_last_good_checkpoint_is_kept(make_env, one_room, seeded, tmp_path, monkeypatch, broken, named):
    config = replace(TrainConfig(), num_envs=4, rollout_steps=4, blind=True, hidden_size=16, checkpoint_minutes=1e-9)
    config = replace(config, ppo=replace(config.ppo, minibatches=1))
    env = make_env(config.num_envs, one_room, device="cpu", **config.env_options())
    trainer = Trainer(env, make_policy(config, env), config.ppo, config.rollout_steps, config.seed)
    collect, good = trainer.collect, []

    def collect_and_break():
        episodes = collect()
        if trainer.progress.updates == 2:
            good.extend(p.detach().clone() for p in trainer.policy.parameters())
            getattr(trainer.rollout, broken)[1, 2] = float("nan")
        return episodes

    monkeypatch.setattr(trainer, "collect", collect_and_break)
    with pytest.raises(AgentError, match=rf"loss, {named}, gradient_norm not finite"):
        TrainingRun(trainer, config, tmp_path).run()
    kept = load_policy(find_checkpoint(tmp_path))
    for saved, present, expected in zip(kept.parameters(), trainer.policy.parameters(), good, strict=True):
        assert torch.equal(saved, expected)
        assert torch.equal(present, expected)

"""What one of several ranks does in test_distributed.py, which starts it by torchrun with a folder for the results."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from batchsim.agents.config import TrainConfig
from batchsim.agents.distributed.ranks import DistributedConfig, Ranks
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.training.build import make_trainer

NUM_ENVS, STEPS, UPDATES = 4, 10, 3
CONFIG = TrainConfig(
    scenes="one-room",
    num_envs=NUM_ENVS,
    rollout_steps=STEPS,
    blind=True,
    hidden_size=16,
    max_episode_steps=8,
    device="cpu",
    seed=3,
    precision="float32",
    ppo=PPOConfig(epochs=2, minibatches=1, learning_rate=3e-3),
)


def train(trainer) -> list[dict[str, float]]:
    return [trainer.iteration() for _ in range(UPDATES)]


def as_it_is(ranks: Ranks):
    trainer = make_trainer(CONFIG, ranks)
    return trainer, train(trainer)


def compressed(ranks: Ranks):
    trainer = make_trainer(CONFIG, Ranks(ranks.rank, ranks.size, ranks.store, "fp16"))
    return trainer, train(trainer)


def six_bits(ranks: Ranks):
    trainer = make_trainer(CONFIG, Ranks(ranks.rank, ranks.size, ranks.store, "fp6"))
    return trainer, train(trainer)


def pruned(ranks: Ranks):
    trainer = make_trainer(CONFIG, Ranks(ranks.rank, ranks.size, ranks.store, "pruned", 0.5))
    return trainer, train(trainer)


def halved(ranks: Ranks):
    trainer = make_trainer(replace(CONFIG, double_buffering=True), ranks)
    return trainer, train(trainer)


def late(ranks: Ranks):
    """The second rank's environments take far longer than the first's."""
    options = DistributedConfig(preemption=True, preemption_ranks=0.5, preemption_steps=0.3)
    trainer = make_trainer(replace(CONFIG, distributed=options), ranks)
    if ranks.rank == 1:
        wait = trainer.env.step_wait

        def wait_longer():
            time.sleep(0.2)
            return wait()

        trainer.env.step_wait = wait_longer
    figures = train(trainer)
    figures[-1]["length"] = trainer.rollout.length
    return trainer, figures


def main() -> None:
    out = Path(sys.argv[1])
    ranks = Ranks.init(DistributedConfig(rank_timeout_minutes=1.0))
    for part in (as_it_is, compressed, six_bits, pruned, halved, late):
        trainer, figures = part(ranks)
        save_file(trainer.policy.state_dict(), out / f"{part.__name__}-{ranks.rank}.safetensors")
        (out / f"{part.__name__}-{ranks.rank}.json").write_text(json.dumps(figures))
    ranks.shutdown()


if __name__ == "__main__":
    main()

"""What a training run keeps on disk: checkpoints and logs."""

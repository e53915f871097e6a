"""Makes trained policies small: distillation, pruning, powers of two, int8."""

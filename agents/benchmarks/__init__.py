"""Speed measurements: what `batchsim-bench` times, records, prints and plots."""

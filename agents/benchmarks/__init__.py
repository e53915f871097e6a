"""Speed measurements that `batchsim-bench` and `make gpu-check` take, and the page they are shown on."""

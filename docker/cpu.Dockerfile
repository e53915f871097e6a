# batchsim on CPUs, with Mesa's software renderer. From the root of the checkout:
#
#   docker build -f docker/cpu.Dockerfile -t batchsim .
#   docker run --rm batchsim batchsim-bench step --scenes one-room
FROM python:3.12-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgl1-mesa-dri libgomp1 \
    && rm -rf /var/lib/apt/lists/*

# To use the CPU build of torch, pass pip's options: --build-arg PIP_EXTRA_INDEX_URL=... or PIP_FIND_LINKS=...
ARG PIP_EXTRA_INDEX_URL=
ARG PIP_FIND_LINKS=

COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt "/src[report]"

RUN useradd --create-home batchsim
USER batchsim
WORKDIR /home/batchsim
CMD ["batchsim-train", "--help"]

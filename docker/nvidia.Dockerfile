# batchsim on NVIDIA GPUs. From the root of the checkout, on a host with the NVIDIA container toolkit:
#
#   docker build -f docker/nvidia.Dockerfile -t batchsim-nvidia .
#   docker run --rm --gpus all batchsim-nvidia batchsim-bench step --scenes one-room --device cuda
FROM python:3.12-slim-bookworm

# The toolkit mounts the driver's EGL libraries only with the capability "graphics".
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgomp1 \
    && rm -rf /var/lib/apt/lists/*

# Tells libglvnd where NVIDIA's EGL is; the toolkit does not always mount this file.
RUN mkdir -p /usr/share/glvnd/egl_vendor.d \
    && printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}\n' \
    > /usr/share/glvnd/egl_vendor.d/10_nvidia.json

# torch from the index has CUDA.
COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt "/src[cuda,report]"

RUN useradd --create-home batchsim
USER batchsim
WORKDIR /home/batchsim
CMD ["batchsim-train", "--help"]

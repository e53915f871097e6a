"""Tensors that say they are on CUDA and keep their numbers on the host."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from tests.helpers.pretend_gpu.state import address, deliver, poison, state, wait, where

_WAITING = {
    "_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "unique", "_unique2", "item", "equal",
    "unique_consecutive", "unique_dim", "bincount", "nonzero_numpy", "argwhere",
}  # fmt: skip
_MAY_MIX_DEVICES = {"copy_", "_to_copy", "to", "lift_fresh", "lift", "_copy_from", "_copy_from_and_resize"}
_MAY_TAKE_HOST_TENSORS = {"detach", "alias", "_fused_adam_", "lift_fresh"}
_MAY_TAKE_HOST_NUMBERS = {"where", "fill_", "fill", "masked_fill", "masked_fill_"}
_NO_ACCESS = {
    "_version", "sym_size", "sym_stride", "sym_numel", "size", "stride", "storage_offset", "sym_storage_offset",
    "is_contiguous", "dim", "is_strides_like_format", "is_non_overlapping_and_dense", "detach", "alias",
}  # fmt: skip
_INDEXING = {"index", "index_put_", "_unsafe_index", "index_put", "_index_put_impl_"}

_views = {}


class GpuTensor(torch.Tensor):
    """A tensor on a pretend device; `host` holds its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host, index=0):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            layout=host.layout,
            device=torch.device("cuda", index),
            requires_grad=False,
        )
        made.host = host
        return made

    def __init__(self, host, index=0):
        pass

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})

    def untyped_storage(self):
        return self.host.untyped_storage()

    def data_ptr(self):
        return self.host.data_ptr()

    def tolist(self):
        wait("tolist")
        return self.host.tolist()

    def numpy(self, *, force=False):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it to the host first."
        )

    def __array__(self, dtype=None):
        self.numpy()

    def __repr__(self):
        return f"GpuTensor({self.host!r})"

    def __deepcopy__(self, memo):
        return GpuTensor(self.host.clone(), self.device.index)


class PretendMode(TorchDispatchMode):
    """Sends factory functions with a CUDA device to the pretend GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def dispatch(func, args, kwargs):
    """Runs an operation of torch's on the host, after checking what CUDA would check."""
    if "pin_memory" in kwargs:
        pinned = kwargs["pin_memory"]
        kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
        if pinned:
            made = func(*args, **kwargs)
            state.pinned.add(address(made))
            return made
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    device = kwargs.get("device")
    device = None if device is None else torch.device(device)
    to_cuda = device is not None and device.type == "cuda"
    if not to_cuda and not any(isinstance(x, GpuTensor) for x in tensors):
        return func(*args, **kwargs)
    with state.lock:
        return _dispatch(func, args, kwargs, tensors, device)


def _dispatch(func, args, kwargs, tensors, device):
    name = func.overloadpacket.__name__
    on_gpu = [x for x in tensors if isinstance(x, GpuTensor)]
    on_host = [x for x in tensors if not isinstance(x, GpuTensor)]
    index = on_gpu[0].device.index if on_gpu else state.device if device.index is None else device.index
    _check_owner(func, name, on_gpu)
    if name == "_to_copy":
        copied = _to_copy(func, args[0], kwargs, device, index)
        if copied is not None:
            return copied
    elif name == "copy_" and isinstance(args[0], GpuTensor) != isinstance(args[1], GpuTensor):
        return _copy_between(args[0], args[1], args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
    elif name in _INDEXING:
        _check_indexing(func, name, args, on_host)
    else:
        if name in _WAITING or (name == "repeat_interleave" and len(args) == 1):
            wait(name)
        if name not in _MAY_MIX_DEVICES:
            _check_same_device(func, name, on_host)
    if name in ("pin_memory", "_pin_memory"):
        return args[0]
    return _run(func, args, kwargs, tensors, index)


def _run(func, args, kwargs, tensors, index):
    """Runs the operation with the host's tensors in place of the GPU's."""
    host_args = tree_map(_host, args)
    host_kwargs = {
        name: torch.device("cpu") if name == "device" and value is not None else tree_map(_host, value)
        for name, value in kwargs.items()
    }
    if state.graph is not None:
        state.graph.before(func, host_args, host_kwargs)
    result = func(*host_args, **host_kwargs)
    if state.graph is not None:
        state.graph.after(func, host_args, host_kwargs, result)
    given = {id(_host(x)): x for x in tensors}

    def wrap(x):
        if not isinstance(x, torch.Tensor):
            return x
        return given[id(x)] if id(x) in given else GpuTensor(x, index)

    result = tree_map(wrap, result)
    try:
        return return_and_correct_aliasing(func, args, kwargs, result)
    except (AssertionError, RuntimeError):  # an operation whose schema says nothing about aliases
        return result


def _host(x):
    return x.host if isinstance(x, GpuTensor) else x


def is_view(func):
    """Whether an operation returns a view and reads no element."""
    if func not in _views:
        _views[func] = any(a.alias_info is not None and not a.alias_info.is_write for a in func._schema.arguments)
    return _views[func]


def _check_owner(func, name, on_gpu):
    if name in _NO_ACCESS or is_view(func):
        return
    for x in on_gpu:
        owner = state.owned_by_gl.get(address(x.host))
        if owner:
            raise RuntimeError(f"torch's {name} touches {owner} while OpenGL owns it, at {where(3)}")


def _to_copy(func, source, kwargs, device, index):
    """Handles `Tensor.to`; returns None if no device changes."""
    blocking = not kwargs.get("non_blocking", False)
    rest = {name: value for name, value in kwargs.items() if name not in ("device", "non_blocking")}
    if isinstance(source, GpuTensor) and device is not None and device.type == "cpu":
        if blocking:
            wait("copy to the host")
        copied = func(source.host, **rest)
        return copied.clone() if address(copied) == address(source.host) else copied
    if isinstance(source, GpuTensor):
        return None
    if state.graph is not None and address(source) not in state.pinned:
        raise RuntimeError(f"capture: copy from pageable host memory at {where(3)}")
    if blocking:
        wait("copy from the host")
    copied = func(source, **rest)
    return GpuTensor(copied.clone() if copied is source else copied, index)


def _copy_between(target, source, non_blocking):
    """`copy_` between host and device; what goes to the host without a wait arrives late."""
    if not non_blocking:
        wait("copy_ between host and device")
    if state.graph is not None:
        raise RuntimeError(f"capture: copy between host and device at {where(3)}")
    if isinstance(target, GpuTensor):
        target.host.copy_(source)
        return target
    state.copies += 1
    state.pending.append((state.copies, target, source.host.clone().to(target.dtype)))
    poison(target)
    if not non_blocking:
        deliver()
    return target


def _check_indexing(func, name, args, on_host):
    indices = [x for x in args[1] if x is not None]
    value_is_number = name.startswith("index_put") and isinstance(args[2], torch.Tensor) and args[2].ndim == 0
    for x in indices:
        if not isinstance(x, GpuTensor):
            wait(f"{name} with an index on the host")
        if x.dtype in (torch.bool, torch.uint8) and not value_is_number:
            wait(f"{name} by a mask")
    _check_same_device(func, name, [x for x in on_host if all(x is not y for y in indices)])


def _check_same_device(func, name, on_host):
    for x in on_host:
        if name in _MAY_TAKE_HOST_TENSORS:
            continue
        if x.ndim == 0 and (torch.Tag.pointwise in func.tags or name in _MAY_TAKE_HOST_NUMBERS):
            continue
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found cuda:0 and cpu in {func} at {where(3)}"
        )

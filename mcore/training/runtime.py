"""Where training runs: this process among those that a launcher started, its device, and what shards the network.

One process on a CPU, one on a GPU, and many on many nodes differ in nothing but the environment that their launcher
sets: RANK, WORLD_SIZE and LOCAL_RANK (torchrun), or SLURM_PROCID, SLURM_NTASKS and SLURM_LOCALID with MASTER_ADDR.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import distributed
from torch.distributed.tensor import DTensor, distribute_tensor

from mcore.training.errors import TrainingError

# What processes on a kind of device talk by; others by gloo.
_TALK = {"cuda": "nccl", "xpu": "xccl"}
# What each launcher calls the rank, the number of processes, and the rank on this machine.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
)
# Modules that are sharded by themselves have so many parameters at least: smaller ones cost more talk than they save.
_WORTH_SHARDING = 100_000
# One that holds more of the network is taken apart, so that the whole is never in one place at once.
_LARGEST_SHARE = 0.25


@dataclass
class Runtime:
    """The place of a process in a training.

    Attributes:
        rank: this process's number, from 0; the first writes files and talks.
        world: the number of processes.
        device: where the network and batches are.
        strategy: "none", "ddp" or "fsdp".
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    strategy: str = "none"
    # Whether the group of processes is ours to end.
    _opened: bool = False

    @classmethod
    def start(cls, strategy: str, device: str) -> Runtime:
        """Joins the other processes, where a launcher started several.

        Raises:
            TrainingError: no such device; or "none" among several processes; or the launcher left something unsaid.
        """
        rank, world, local = _place(os.environ)
        where = _device(device, local)
        chosen = ("ddp" if world > 1 else "none") if strategy == "auto" else strategy
        if chosen == "none" and world > 1:
            raise TrainingError(
                f"train.strategy is 'none', but {world} processes were started, which would all train the same; "
                f"use 'auto', 'ddp' or 'fsdp', or start one."
            )
        if where.type == "cuda":
            torch.cuda.set_device(where)
        runtime = cls(rank, world, where, chosen)
        if chosen != "none" and not distributed.is_initialized():
            runtime._open()
        return runtime

    def _open(self) -> None:
        backend = _TALK.get(self.device.type, "gloo")
        if self.world == 1:
            # Nobody to meet: without an address, which a later training would take for a launcher's.
            distributed.init_process_group(backend, store=distributed.HashStore(), rank=0, world_size=1)
            self._opened = True
            return
        if "MASTER_ADDR" not in os.environ:
            raise TrainingError(
                "MASTER_ADDR isn't set, the machine that the processes meet at: torchrun sets it; in a SLURM script, "
                "export MASTER_ADDR and MASTER_PORT before srun."
            )
        os.environ.setdefault("MASTER_PORT", "29500")
        distributed.init_process_group(backend, rank=self.rank, world_size=self.world)
        self._opened = True

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def close(self) -> None:
        """Leaves the other processes."""
        if self._opened and distributed.is_initialized():
            distributed.destroy_process_group()
        self._opened = False

    # --- the network

    def wrapped(self, net: torch.nn.Module, **options: Any) -> torch.nn.Module:
        """What to call instead of `net`, so that gradients are those of all processes; `options` are those of DDP."""
        if self.strategy != "ddp":
            return net
        ids = [self.device.index] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(net, device_ids=ids, **options)

    def shard(self, net: torch.nn.Module) -> None:
        """Spreads the network's parameters over all processes, where the strategy is "fsdp": before an optimiser has
        them, and once.
        """
        if self.strategy != "fsdp":
            return
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.world,))
        for module in _units(net):
            fully_shard(module, mesh=mesh)
        fully_shard(net, mesh=mesh)

    @contextlib.contextmanager
    def gathering(self, wrapped: torch.nn.Module, *, last: bool) -> Iterator[None]:
        """A block whose backward pass exchanges gradients only where it is the `last` of a step."""
        if self.strategy == "ddp" and not last:
            with wrapped.no_sync():  # type: ignore[operator]
                yield
            return
        if self.strategy == "fsdp":
            wrapped.set_requires_gradient_sync(last)  # type: ignore[operator]
        yield

    @property
    def exact(self) -> torch.dtype:
        """In what numbers sums are taken: the finest that the device has."""
        return torch.float32 if self.device.type == "mps" else torch.float64

    def random_apart(self) -> Any:
        """A block whose random numbers are its own: afterwards torch's generators are as they were."""
        kind = self.device.type
        # Said which: torch would save the generators of all devices, and warn of that.
        own = [self.device.index or 0] if kind in ("cuda", "xpu") else []
        return torch.random.fork_rng(devices=own, device_type=kind if own else "cuda")

    # --- talk

    def level(self, net: torch.nn.Module) -> None:
        """Gives all processes the first one's buffers: in training each process's norms count its own samples."""
        if self.world > 1:
            for buffer in net.buffers():
                distributed.broadcast(buffer, src=0)

    def mean(self, values: Mapping[str, torch.Tensor], weight: float) -> dict[str, float]:
        """Means over all processes, each process's counted by its `weight`; in the order of names."""
        names = sorted(values)
        told = [values[name].detach().to(self.device, self.exact).reshape(()) * weight for name in names]
        sums = torch.stack([*told, torch.tensor(weight, dtype=self.exact, device=self.device)])
        if self.world > 1:
            distributed.all_reduce(sums)
        *found, total = sums.tolist()
        return {name: value / max(total, 1e-12) for name, value in zip(names, found, strict=True)}

    def greatest(self, number: int) -> int:
        """The greatest of all processes' numbers."""
        if self.world == 1:
            return number
        found = torch.tensor(number, device=self.device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def agree(self, value: Any) -> Any:
        """What the first process has, on all of them."""
        if self.world == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            distributed.barrier()


def whole(value: Any) -> Any:
    """A state on the CPU with every sharded tensor put together: each process must take part."""
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(whole(inner) for inner in value)
    return value


def placed_as(value: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """A whole tensor where and as `model` is: on its device, and sharded as it is."""
    if isinstance(model, DTensor):
        return distribute_tensor(value.to(model.device), model.device_mesh, model.placements)
    return value.to(model.device)


def _place(environment: Mapping[str, str]) -> tuple[int, int, int]:
    for rank, world, local in _LAUNCHERS:
        # A shell within a job has SLURM's variables, too, and none to meet.
        if rank in environment and (rank == "RANK" or "MASTER_ADDR" in environment):
            try:
                return int(environment[rank]), int(environment[world]), int(environment.get(local, "0"))
            except (KeyError, ValueError) as error:
                raise TrainingError(
                    f"{rank}={environment[rank]!r} stands in the environment, but {world} and {local} aren't the "
                    f"whole numbers that a launcher sets beside it; start with torchrun, or unset {rank}."
                ) from error
    return 0, 1, 0


def _device(name: str, local: int) -> torch.device:
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        name = found.type if found is not None else "cpu"
    try:
        device = torch.device(name)
        if device.type in ("cuda", "xpu") and device.index is None:
            device = torch.device(device.type, local)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f"train.device={name!r} can't be used here: {str(error).splitlines()[0]}") from error
    return device


def _units(net: torch.nn.Module, whole: int | None = None) -> Iterator[torch.nn.Module]:
    """What is gathered and freed by itself, a stage or a block: the largest modules that are called as one and hold no
    more than a share of the network.

    >>> blocks = [torch.nn.Sequential(torch.nn.Linear(400, 400), torch.nn.ReLU()) for _ in range(8)]
    >>> [type(unit).__name__ for unit in _units(torch.nn.Sequential(torch.nn.ModuleList(blocks)))]
    ['Sequential', 'Sequential', 'Sequential', 'Sequential', 'Sequential', 'Sequential', 'Sequential', 'Sequential']
    >>> [type(unit).__name__ for unit in _units(torch.nn.Sequential(*blocks[:2]))]
    ['Linear', 'Linear']
    """
    whole = _numbers(net) if whole is None else whole
    for child in net.children():
        own = _numbers(child)
        if own < _WORTH_SHARDING:
            continue
        listed = isinstance(child, torch.nn.ModuleList | torch.nn.ModuleDict)
        # Layers of torch may use what they hold without calling it.
        within = listed or (own > whole * _LARGEST_SHARE and not _is_layer(child))
        units = list(_units(child, whole)) if within else []
        yield from units if units or listed else [child]


def _numbers(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _is_layer(module: torch.nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.") and not isinstance(module, torch.nn.Sequential)


__all__ = ["Runtime", "placed_as", "whole"]

"""How fast an autoencoder is, and how much memory it takes: on a GPU where there is one, else on the CPU.

python examples/autoencoder/bench_gpu.py --preset small --input_size 201 201 --batch_size 16
"""

import argparse

import torch

from mcore.checkpoint import measure
from models.networks.autoencoder_cnn_v3 import PRESETS, create_autoencoder
from models.utils.summary import parameters, summary

HEADER = f"{'':22}{'forward':>12}{'images/s':>10}{'memory':>10}{'with gradient':>15}{'images/s':>10}{'memory':>10}"


def main() -> None:
    """Prints a line for each way to run it: in float32 and mixed precision, as it is and compiled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=[*PRESETS], default="small")
    parser.add_argument("--input_size", type=int, nargs=2, default=(201, 201), metavar=("H", "W"))
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--latent_strategy", choices=("conv", "spatial"), default="conv")
    parser.add_argument("--runs", type=int, default=20, help="passes that are timed, after five that aren't")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()

    device, size = "cuda" if torch.cuda.is_available() else "cpu", tuple(options.input_size)
    torch.backends.cudnn.benchmark = True
    build = {"input_size": size, "latent_strategy": options.latent_strategy}
    net = create_autoencoder(options.preset, **build)
    adds = sum(row.multiply_adds or 0 for row in summary(net, (1, 1, *size)))
    work = f"{2 * adds / 1e9:.2f} GFLOP an image of {size[0]} x {size[1]}"
    print(f"{options.preset}: {parameters(net):,} parameters, {work}")
    cpu = f"no GPU here: the CPU, {torch.get_num_threads()} threads"
    print(torch.cuda.get_device_name() if device == "cuda" else cpu)
    print(f"batches of {options.batch_size}, medians of {options.runs}; memory beside weights and batch\n{HEADER}")
    for compiled in (False,) if options.no_compile else (False, True):
        for mixed in (False, True):
            net = create_autoencoder(options.preset, **build).to(device)
            if compiled:
                net.compile()
            with torch.autocast(device, torch.bfloat16, enabled=mixed):
                cost = measure(net, (1, *size), options.batch_size, runs=options.runs, warmup=5)[0]
            told = f"{'bfloat16' if mixed else 'float32'}, {'compiled' if compiled else 'as it is'}"
            pairs = ((cost.forward_ms, cost.memory_bytes), (cost.forward_backward_ms, cost.training_memory_bytes))
            cells = [
                f"{ms:{width}.2f} ms{options.batch_size / ms * 1e3:10,.0f}{(memory or 0) / 2**20:7,.0f} MB"
                for (ms, memory), width in zip(pairs, (9, 12), strict=True)
            ]
            print(f"{told:22}{''.join(cells)}", flush=True)


if __name__ == "__main__":
    main()

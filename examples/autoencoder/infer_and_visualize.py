"""Takes a picture through a trained autoencoder and draws what it looks at.

python examples/autoencoder/infer_and_visualize.py --checkpoint checkpoint.pth --input test.png --output attention.png

The checkpoint is the dictionary that train_example.py saves: model_state_dict, optimizer_state_dict, config, epoch.
"""

import argparse

import numpy as np
from PIL import Image

import mcore
from models.networks.autoencoder_cnn_v3 import load_autoencoder, visualize_attention


def main() -> None:
    """Prints what the latent holds and how far the reconstruction is off; draws into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="a .pth file")
    parser.add_argument("--input", required=True, help="a picture; colours are made grey")
    parser.add_argument("--output", default="attention.png", help="the drawing")
    parser.add_argument("--no-heatmap", action="store_true", help="leave out what takes gradients")
    options = parser.parse_args()

    net = load_autoencoder(options.checkpoint)
    with Image.open(options.input) as picture:
        grey = np.asarray(picture.convert("L"), np.float32) / 255
    x = mcore.from_numpy(grey[None, None])
    with mcore.no_grad():
        latent = net.encode(x)
        # The latent alone, and the picture's size: nothing else reaches the decoder.
        error = float((net.decode(latent, grey.shape) - x).square().mean())
    print(f"{grey.shape[0]} x {grey.shape[1]} pixels, a latent of {net.actual_latent_size}")
    print(f"latent: mean {float(latent.mean()):.3f}, from {float(latent.min()):.3f} to {float(latent.max()):.3f}")
    print(f"reconstruction: mean squared error {error:.5f}, PSNR {-10 * np.log10(error):.2f} dB")
    visualize_attention(net, x, options.output, show_heatmap=not options.no_heatmap)
    print(f"drawn: {options.output}")


if __name__ == "__main__":
    main()

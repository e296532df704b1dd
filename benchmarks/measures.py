"""What do the measures cost?

"eight quantities": gradient norm, eigenvalues, trace, the noise with the leading eigenpairs of Σ, LAS, alignment, D(θ)
and sharpness, by one call of ``tw.measure``, against the spectrum alone and as many products with Σ; a perceptron
784-256-256-10, trained for two epochs of Fashion-MNIST, on 1,024 of its images.

The networks of ``products.py``: tr Σ with the noise scale, all of it, and a product with Σ in blocks of 8, in products
with the Gauss-Newton matrix with kept graphs, on eight batches; and the memory of tr Σ on one batch and on eight.

"intrinsic-dimension step": one step in a random subspace of 750 dimensions (Fastfood) of a 784-200-200-10 perceptron,
against one of ``torch.optim.SGD`` on all its parameters. Both take the next 128 items from the data in random order;
plain gradient descent, in turn. One thread.
"""

import torch
from _noise_cost import noise
from _records import arguments, finish
from _subspace_step import steps
from _together import together


def main() -> None:
    """Time all cases."""
    options = arguments(__doc__ or "")
    torch.set_num_threads(1)
    records = [*together(options.data_root, options.quick), *noise(options.quick)]
    finish([*records, *steps(50 if options.quick else 400)], options.json)


if __name__ == "__main__":
    main()

"""Folding batch normalisation into the convolutions before it: the same function with fewer passes.

Which normalisation follows which convolution is seen, not guessed from names: one batch goes through the
network, and a pair is a normalisation that is given the very tensor that a convolution made and nobody else
was given. Afterwards the folded network must answer as before, or it is left as it was.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from catsdogs.models.classifier import ImageClassifier

# Largest difference of features that folding may make, as a share of the largest. Not of the logits: a head
# may answer every unusual picture alike.
TOLERANCE = 1e-4


def folded(classifier: ImageClassifier) -> ImageClassifier:
    """Return a copy in evaluation mode, on the processor and in float32, with all that can be folded folded.

    Args:
        classifier: It is not changed.

    Returns:
        The copy; its features differ by ``TOLERANCE`` at most. A network in which nothing can be folded, or
        that would answer otherwise, is copied as it is.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, section 3.2 (batch normalisation
    folding); torch's own ``fuse_conv_bn_eval`` does the arithmetic.
    """
    plain = copy.deepcopy(classifier).eval().float().cpu()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, *plain.input_size, 3), dtype=torch.uint8, generator=generator)
    network = copy.deepcopy(plain)
    pairs = _pairs(network, pixels)
    if not pairs:
        return plain
    for conv_name, norm_name in pairs:
        conv: Any = network.get_submodule(conv_name)
        norm: Any = network.get_submodule(norm_name)
        _replace(network, conv_name, fuse_conv_bn_eval(conv, norm))
        _replace(network, norm_name, _what_is_left(norm))
    with torch.inference_mode():
        before, after = plain.features(pixels), network.features(pixels)
    agree = float((before - after).abs().max()) <= TOLERANCE * float(before.abs().max())
    return network if agree else plain


def _pairs(network: nn.Module, pixels: Tensor) -> list[tuple[str, str]]:
    """Return the names of convolutions and of the normalisations that alone are given what they make."""
    # The tensors are kept, or another one could get the same identity.
    made: dict[int, tuple[str, Tensor]] = {}
    given: Counter[int] = Counter()
    runs: Counter[str] = Counter()
    found: list[tuple[str, str, int]] = []
    hooks = []
    for name, module in network.named_modules():
        if list(module.children()) and not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue

        def before(module: nn.Module, inputs: tuple[object, ...], name: str = name) -> None:
            runs[name] += 1
            for tensor in map(id, inputs):
                if tensor in made:
                    given[tensor] += 1
                    if isinstance(module, nn.BatchNorm2d):
                        found.append((made[tensor][0], name, tensor))

        def after(module: nn.Module, _: object, output: object, name: str = name) -> None:
            if isinstance(module, nn.Conv2d) and isinstance(output, Tensor):
                made[id(output)] = (name, output)

        hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    with torch.no_grad():
        network(pixels)
    for hook in hooks:
        hook.remove()
    return [
        (conv, norm)
        for conv, norm, tensor in found
        if given[tensor] == 1 and runs[conv] == runs[norm] == 1 and _foldable(network, conv, norm)
    ]


def _foldable(network: nn.Module, conv_name: str, norm_name: str) -> bool:
    conv, norm = network.get_submodule(conv_name), network.get_submodule(norm_name)
    return type(conv).forward is nn.Conv2d.forward and norm.running_mean is not None


def _what_is_left(norm: nn.Module) -> nn.Module:
    """Return what timm's normalisations do after normalising: their activation."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)

"""Spiking neural networks on PyTorch and Lightning."""

"""Export as graphs of plain tensor operations: torch.export's programs and ONNX."""

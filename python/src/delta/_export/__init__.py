"""From PyTorch code to ONNX graphs: tracing, decomposition, lowering. Needs torch, which only learning tasks need."""

"""What computes a model's logits: torch, ONNX Runtime or OpenVINO behind one protocol."""

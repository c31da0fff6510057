register_skl2onnx = None

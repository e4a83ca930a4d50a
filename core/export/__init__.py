"""Export: the network as files that work without this project.

ONNX, ONNX Runtime and OpenVINO are optional, and imported only when they are used.
"""

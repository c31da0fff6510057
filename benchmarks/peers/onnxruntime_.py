"""onnxruntime: a session of the graph that `fanin.export.to_onnx` makes."""

from __future__ import annotations

import onnxruntime

import fanin
from benchmarks.jobs import Array, Predict, Prepared
from benchmarks.peers.fanin_ import network_of

_options = onnxruntime.SessionOptions()


def configure(threads: int) -> None:
    _options.intra_op_num_threads = threads
    _options.inter_op_num_threads = 1
    _options.log_severity_level = 3


def version() -> str:
    return f"onnxruntime {onnxruntime.__version__}"


def predict(job: Predict) -> Prepared:
    graph = fanin.export.to_onnx(network_of(job), input_dtype="float32").SerializeToString()
    session = onnxruntime.InferenceSession(graph, _options, providers=["CPUExecutionProvider"])
    outputs, row = ["label"], job.row

    def answer() -> Array:
        return session.run(outputs, {"X": job.rows})[0]

    return Prepared(lambda: session.run(outputs, {"X": row}), answer)


JOBS = {Predict: predict}

"""Writes node-tests.jsonl: ONNX's own test cases of single nodes, for the operators that training supports.

    pip install onnx==1.23.2 && python make_node_tests.py

Each line is a case: the model's file in base64 (with its inputs as initializers), and the outputs that ONNX's reference
says. A case has the opset of its operator's newest form, or the newest that is supported where the node exists there. Cases with
other element types than float32, int64, int32 and bool, with a tensor of more than 200 elements or of none, expanded
functions, Dropout's own random numbers and a Mod that ONNX Runtime does not have are left out.
"""
import base64
import json
import pathlib
import re

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

OLDEST, NEWEST = 13, 24
ELEMENTS = 200
TYPES = {np.dtype(np.float32): "float32", np.dtype(np.int64): "int64", np.dtype(np.int32): "int32", np.dtype(bool): "bool"}
NOT_FINITE = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
here = pathlib.Path(__file__).parent
supported = {json.loads(line)["op"] for line in (here / "operators.jsonl").read_text().splitlines()}


def numbers(array):
    values = array.flatten().tolist()
    if array.dtype == np.float32:
        values = [float(f"{value:.7g}") for value in values]
    return [NOT_FINITE.get(str(v)) or (int(v) if v == int(v) else v) for v in values]


def converted(model, inputs):
    """The model with its inputs as initializers, in the order of the data."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = [numpy_helper.from_array(array, info.name) for array, info in zip(inputs, copy.graph.input)]
    del copy.graph.input[:]
    copy.graph.initializer.extend(tensors)
    copy.graph.doc_string = copy.producer_name = ""
    copy.ir_version = 10
    [imported] = copy.opset_import
    imported.version = min(max(imported.version, OLDEST), NEWEST)
    return copy


def is_valid(model):
    """Whether the node exists in this form in the opset that was chosen."""
    try:
        onnx.checker.check_model(model)
        return True
    except onnx.checker.ValidationError:
        return False


def suits(model, inputs, outputs):
    [node, *others] = model.graph.node
    arrays = [*inputs, *outputs]
    return (not others and node.op_type in supported and node.domain == ""
            and all(isinstance(array, np.ndarray) and array.dtype in TYPES for array in arrays)
            and all(0 < array.size <= ELEMENTS for array in arrays))


LEFT_OUT = re.compile("training_dropout|mod_float.*fmod_0")
lines, skipped = [], set()
for case in collect_testcases(None):
    model = case.model
    if model is None or len(model.graph.node) != 1:
        continue
    for inputs, outputs in case.data_sets:
        inputs, outputs = [[np.asarray(v) if isinstance(v, np.generic) else v for v in values] for values in (inputs, outputs)]
        if LEFT_OUT.search(case.name) or not suits(model, inputs, outputs):
            skipped.add(case.name)
            continue
        chosen = converted(model, inputs)
        if not is_valid(chosen):
            skipped.add(case.name)
            continue
        lines.append(json.dumps({
            "name": re.sub("^test_", "", case.name),
            "op": model.graph.node[0].op_type,
            "model": base64.b64encode(chosen.SerializeToString()).decode(),
            "outputs": [{"type": TYPES[v.dtype], "shape": list(v.shape), "data": numbers(v)} for v in outputs],
        }, separators=(",", ":")))
path = here / "node-tests.jsonl"
path.write_text("".join(line + "\n" for line in lines))
print(f"{len(lines)} cases, {path.stat().st_size} bytes; {len(skipped)} left out")

"""Writes sklearn/*.onnx and sklearn.jsonl: scikit-learn's models as skl2onnx converts them, and how scikit-learn trains them.

    pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 && python make_sklearn.py

A classifier's graph has two outputs, the class and the probabilities; skl2onnx's own select_model_inputs_outputs keeps the
second, or, for two classes, what the last Sigmoid makes. A line of sklearn.jsonl holds 30 full-batch steps of partial_fit
from the exported weights, computed in float64: the loss of every step, the number of values that learn, and what the
trained model predicts. linear.onnx, logistic.onnx and pipeline.onnx are of ai.onnx.ml operators, which have no gradient.
The converter names each graph at random.
"""
import json
import pathlib
import warnings

import numpy
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
COUNT, STEPS, FEATURES = 24, 30, 6
random = numpy.random.default_rng(20261125)
X = random.integers(-32, 33, (COUNT, FEATURES)) / 16
DIRECTIONS = random.normal(size=(FEATURES, 3))
CLASSES = (X @ DIRECTIONS).argmax(1)
VALUES = numpy.round(numpy.tanh(X @ DIRECTIONS[:, 0]) * 16) / 16


def converted(model, name, output=None):
    options = {"zipmap": False} if hasattr(model, "predict_proba") else {}
    proto = convert_sklearn(model, initial_types=[("x", FloatTensorType([None, FEATURES]))], target_opset=18,
                            options={id(model): options} if options else None)
    if output:
        proto = select_model_inputs_outputs(proto, outputs=[output])
    HERE.joinpath("sklearn", f"{name}.onnx").write_bytes(proto.SerializeToString())
    return f"sklearn/{name}.onnx"


def run(name, model, y, loss, rate, optimizer):
    def step():
        model.partial_fit(X, y, **({"classes": numpy.unique(y)} if loss != "MeanSquaredError" and not started else {}))

    started = False
    step()
    started = True
    file = converted(model, name, OUTPUT[loss])
    # The optimiser's state starts anew with the exported weights.
    del model._optimizer
    losses = []
    for _ in range(STEPS):
        step()
        # scikit-learn's squared error is half of the mean over samples and outputs.
        losses.append(float(model.loss_) * (2 if loss == "MeanSquaredError" else 1))
    learning = sum(value.size for value in (*model.coefs_, *model.intercepts_))
    outputs = model.predict(X) if loss == "MeanSquaredError" else model.predict_proba(X)
    outputs = outputs[:, 1] if loss == "BinaryCrossEntropy" else outputs
    print(f"{name}: {learning} values learn, loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    return {"family": name, "files": [{"file": file}], "learningRate": rate, "count": COUNT, "learning": learning,
            "configuration": {"loss": {"type": loss}, "optimizer": optimizer, "batchSize": COUNT},
            "x": numbers(X), "y": numbers(y), "losses": losses, "outputs": numbers(outputs)}


def numbers(values):
    return [float(f"{value:.8g}") for value in numpy.asarray(values, dtype=float).flatten().tolist()]


OUTPUT = {"MeanSquaredError": None, "SoftmaxCrossEntropy": "probabilities", "BinaryCrossEntropy": "out_activations_result"}
HERE.joinpath("sklearn").mkdir(exist_ok=True)
how = dict(alpha=0, batch_size=COUNT, shuffle=False, random_state=1, max_iter=1)
sgd = lambda rate, nesterov: dict(solver="sgd", learning_rate_init=rate, momentum=0.9, nesterovs_momentum=nesterov, **how)
momentum = lambda nesterov: {"type": "SGD", "momentum": 0.9, "nesterov": nesterov}
runs = [
    run("classifier", MLPClassifier((8,), **sgd(0.1, True)), CLASSES, "SoftmaxCrossEntropy", 0.1, momentum(True)),
    # The gradient of half the squared error is half as large, so the rate is twice as large here.
    run("regressor", MLPRegressor(hidden_layer_sizes=(8, 5), activation="tanh", **sgd(0.1, False)), VALUES, "MeanSquaredError", 0.05, momentum(False)),
    # scikit-learn's Adam adds epsilon before the second moment is corrected: it is made too small to matter.
    run("binary", MLPClassifier((8,), activation="logistic", solver="adam", learning_rate_init=0.02, epsilon=1e-12, **how), CLASSES == 0,
        "BinaryCrossEntropy", 0.02, {"type": "Adam", "epsilon": 1e-12}),
]
path = HERE.joinpath("sklearn.jsonl")
path.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in runs))
print(f"{path.stat().st_size} bytes")
converted(LinearRegression().fit(X, VALUES), "linear")
converted(LogisticRegression().fit(X, CLASSES), "logistic")
converted(make_pipeline(StandardScaler(), LinearRegression()).fit(X, VALUES), "pipeline")

"""Writes tensorflow/*.onnx and tensorflow.jsonl: Keras models as tf2onnx converts them, and how Keras trains them.

    pip install tensorflow-cpu==2.21.0 keras==3.15.1 tf2onnx==1.17.0 onnx==1.23.2 && python make_tensorflow.py

tf2onnx.convert.from_keras does not read Keras 3, so models go through tf.function and from_function. A line of
tensorflow.jsonl holds 30 full-batch steps of SGD with momentum from the exported weights, computed in float64: the loss of
every step, the number of values that learn, and what the trained model predicts.

TensorFlow removes the addition of a bias that is all zero when it freezes a graph, and multiplications by one: here biases and
scales start at random values, as they have some in a model that has been trained before.
"""
import json
import os
import pathlib
import sys

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}

import keras
import numpy
import tensorflow as tf
import tf2onnx

L = keras.layers
HERE = pathlib.Path(__file__).parent
COUNT, STEPS = 6, 30


class Residual(L.Layer):
    """Two convolutions beside a projection of the input (He et al., 2016)."""

    def __init__(self, filters):
        super().__init__()
        self.first = L.Conv2D(filters, 3, 2, padding="same", activation="relu")
        self.second = L.Conv2D(filters, 3, padding="same")
        self.shortcut = L.Conv2D(filters, 1, 2)

    def call(self, x):
        return keras.ops.relu(self.second(self.first(x)) + self.shortcut(x))


def separable(filters, kernel, strides=1):
    return [L.DepthwiseConv2D(kernel, strides, padding="same", activation="relu6"), L.Conv2D(filters, 1, activation="hard_swish")]


def unet():
    x = L.Input((8, 8, 1))
    one = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    two = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D()(one))
    three = L.Conv2D(6, 3, padding="same", activation="relu")(L.AveragePooling2D(2)(two))
    up = L.Concatenate()([two, L.Conv2DTranspose(4, 2, 2)(three)])
    up = L.Concatenate()([one, L.UpSampling2D(2, interpolation="bilinear")(up)])
    return keras.Model(x, L.Conv2D(1, 3, padding="same")(up))


def transformer():
    x = L.Input((7,), dtype="int32")
    h = L.Embedding(11, 8)(x)
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 4)(h, h, use_causal_mask=True))
    f = L.Dense(8)(L.Dense(16, activation=lambda z: keras.activations.gelu(z, approximate=True))(h))
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(L.LayerNormalization()(h + f))))


def embedding():
    x = L.Input((3,), dtype="int32")
    parts = [L.Flatten()(L.Embedding(size, 4)(x[:, i : i + 1])) for i, size in enumerate((7, 5, 3))]
    return keras.Model(x, L.Dense(1)(L.Dense(8, activation="relu")(L.Concatenate()(parts))))


def measurements(*shape):
    return lambda random: random.integers(-32, 33, (COUNT, *shape)) / 16


def tokens(high, *shape):
    return lambda random: random.integers(0, high, (COUNT, *shape))


softmax, squared, binary = "SoftmaxCrossEntropy", "MeanSquaredError", "BinaryCrossEntropy"
FAMILIES = {
    "mlp": (lambda: keras.Sequential([L.Input((6,)), L.Dense(12, activation="relu"), L.Dense(8, activation="tanh"),
                                      L.Dense(3, activation="softmax")]), measurements(6), softmax, 0.05),
    "cnn": (lambda: keras.Sequential([L.Input((8, 8, 1)), L.Conv2D(3, 5, padding="same", activation="relu"), L.MaxPooling2D(),
                                      L.Conv2D(5, 5, padding="same", activation="relu"), L.MaxPooling2D(), L.Flatten(),
                                      L.Dense(10, activation="relu"), L.Dense(3)]), measurements(8, 8, 1), softmax, 0.02),
    "resnet": (lambda: keras.Sequential([L.Input((8, 8, 2)), L.Conv2D(4, 3, padding="same", activation="relu"), Residual(6),
                                         L.GlobalAveragePooling2D(), L.Dense(3)]), measurements(8, 8, 2), softmax, 0.02),
    "mobilenet": (lambda: keras.Sequential([L.Input((8, 8, 2)), L.Conv2D(4, 3, 2, padding="same", activation="hard_swish"),
                                            *separable(6, 3), *separable(8, 5, 2), L.GlobalAveragePooling2D(), L.Dense(3)]),
                  measurements(8, 8, 2), softmax, 0.2),
    "unet": (unet, measurements(8, 8, 1), squared, 0.05),
    "lstm": (lambda: keras.Sequential([L.Input((7, 3)), L.LSTM(6), L.Dense(3)]), measurements(7, 3), softmax, 0.1),
    "bilstm": (lambda: keras.Sequential([L.Input((7, 3)), L.Bidirectional(L.LSTM(4, return_sequences=True)),
                                         L.GlobalAveragePooling1D(), L.Dense(3)]), measurements(7, 3), softmax, 0.1),
    "gru": (lambda: keras.Sequential([L.Input((4, 3)), L.GRU(6, unroll=True), L.Dense(2)]), measurements(4, 3), squared, 0.05),
    "tcn": (lambda: keras.Sequential([L.Input((16, 3)), L.Conv1D(6, 3, padding="causal", activation="relu"),
                                      L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"), L.Flatten(),
                                      L.Dense(2)]), measurements(16, 3), squared, 0.01),
    "transformer": (transformer, tokens(11, 7), softmax, 0.05),
    "embedding": (embedding, lambda random: numpy.stack([tokens(size)(random) for size in (7, 5, 3)], 1), binary, 0.1),
    "autoencoder": (lambda: keras.Sequential([L.Input((10,)), L.Dense(8, activation="elu"), L.Dense(3, activation="softplus"),
                                              L.Dense(8, activation="selu"), L.Dense(10, activation="sigmoid")]),
                    lambda random: (measurements(10)(random) + 2) / 4, squared, 0.5),
}


def built(family, floatx, weights=None):
    keras.config.set_floatx(floatx)
    keras.utils.set_random_seed(len(family))
    model = FAMILIES[family][0]()
    random = numpy.random.default_rng(sum(family.encode()))
    if weights is None:
        # Biases of 0 and scales of 1 would be left out of the graph.
        weights = [value + numpy.float32(random.normal(0, 0.1, value.shape)) if value.ndim == 1 or numpy.ptp(value) == 0 else value
                   for value in model.get_weights()]
    model.set_weights(weights)
    return model


def converted(model):
    integers = "int" in str(model.inputs[0].dtype)
    signature = (tf.TensorSpec((None, *model.input_shape[1:]), tf.int32 if integers else tf.float32, name="x"),)
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=18)
    return proto.SerializeToString()


def criterion(loss, probabilities):
    if loss == softmax:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
    return keras.losses.BinaryCrossentropy(from_logits=True) if loss == binary else keras.losses.MeanSquaredError()


def make(family):
    _, samples, loss, rate = FAMILIES[family]
    random = numpy.random.default_rng(sum(family.encode()))
    x = samples(random)
    small = built(family, "float32")
    file = f"tensorflow/{family}.onnx"
    HERE.joinpath(file).write_bytes(converted(small))
    model = built(family, "float64", small.get_weights())
    shape = model(x).shape
    y = {softmax: lambda: numpy.arange(COUNT) % shape[1], binary: lambda: random.integers(0, 2, shape).astype(float),
         squared: lambda: random.integers(-16, 17, shape) / 16}[loss]()
    if family == "autoencoder":
        y = x
    compute = criterion(loss, family == "mlp")
    updates = keras.optimizers.SGD(rate, momentum=0.9)
    losses = []
    # ONNX's LSTM has two biases where Keras's has one. Both learn, so that their sum moves twice as far.
    doubled = [2 if "lstm_cell/bias" in v.path else 1 for v in model.trainable_variables]
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            value = compute(y, model(x, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        updates.apply([g * factor if factor != 1 else g for g, factor in zip(gradients, doubled)], model.trainable_variables)
        losses.append(float(value))
    learning = sum(int(numpy.prod(v.shape)) * factor for v, factor in zip(model.trainable_variables, doubled))
    print(f"{family}: {learning} values learn, loss {losses[0]:.4f} -> {losses[-1]:.4f}, file {HERE.joinpath(file).stat().st_size}")
    return {"family": family, "files": [{"file": file}], "learningRate": rate, "count": COUNT, "learning": learning, "x": numbers(x),
            "configuration": {"loss": {"type": loss}, "optimizer": {"type": "SGD", "momentum": 0.9}, "batchSize": COUNT},
            "y": numbers(y), "losses": losses, "outputs": numbers(model(x, training=False))}


def numbers(values):
    return [float(f"{value:.8g}") for value in numpy.asarray(values, dtype=float).flatten().tolist()]


HERE.joinpath("tensorflow").mkdir(exist_ok=True)
runs = [make(family) for family in sys.argv[1:] or FAMILIES]
if not sys.argv[1:]:
    path = HERE.joinpath("tensorflow.jsonl")
    path.write_text("".join(json.dumps(run, separators=(",", ":")) + "\n" for run in runs))
    print(f"{path.stat().st_size} bytes")

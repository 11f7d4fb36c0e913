"""Writes byzfl.json: what ByzFL's aggregators make of the updates that inputs.py draws, computed in float64.

    pip install byzfl==0.0.11 numpy==2.4.6 torch==2.15.0 && python make_byzfl.py

byzfl's top level imports torchvision, which its aggregators do not need: an empty package stands in for it. A row is
[seed, updates, length, byzantine, results], the results in the order of `aggregators`.
ByzFL scores Krum over n - f - 1 others, the paper and Tributary over n - f - 2: ByzFL is given f + 1.
"""
import importlib.util
import json
import pathlib
import sys
import types

package = types.ModuleType("byzfl")
package.__path__ = list(importlib.util.find_spec("byzfl").submodule_search_locations)
sys.modules["byzfl"] = package

import numpy as np
from byzfl.aggregators.aggregators import Average, GeometricMedian, Krum, Median, MultiKrum, TrMean
from byzfl.aggregators.preaggregators import ARC, NNM, Clipping

from inputs import Draw, rounded, updates

CASES = 500
MAXIMUM_NORM = 2.0
AGGREGATORS = {
    "Median": lambda x, f: Median()(x),
    "TrimmedMean": lambda x, f: TrMean(f)(x),
    "Krum": lambda x, f: Krum(f + 1)(x),
    "MultiKrum": lambda x, f: MultiKrum(f + 1)(x),
    "GeometricMedian": lambda x, f: GeometricMedian(nu=1e-6, T=8)(x),
    "NormClipping, adaptive": lambda x, f: Average()(ARC(f)(NNM(f)(x))),
    "NormClipping, static": lambda x, f: Average()(Clipping(MAXIMUM_NORM)(NNM(f)(x))),
}


def case(seed):
    draw = Draw(seed)
    count = 3 + draw.below(13)
    length = 1 + draw.below(3)
    byzantine = draw.below((count - 3) // 2 + 1)
    vectors = np.stack([one["values"] for one in updates(draw, count, length, byzantine)])
    results = [rounded(aggregate(vectors.copy(), byzantine)) for aggregate in AGGREGATORS.values()]
    return [seed, count, length, byzantine, results]


rows = [json.dumps(case(7919 * seed), separators=(",", ":")) for seed in range(1, CASES + 1)]
head = json.dumps({"aggregators": list(AGGREGATORS), "maximumNorm": MAXIMUM_NORM})
text = head[:-1] + ', "cases": [\n' + ",\n".join(rows) + "\n]}\n"
pathlib.Path(__file__).with_name("byzfl.json").write_text(text)

"""The updates that the golden files are about, drawn from a seed; testing/inputs.ts draws the same."""
import numpy as np


class Draw:
    """A linear congruential generator (Numerical Recipes): numbers in [0, 1) from the 32-bit state."""

    def __init__(self, seed: int) -> None:
        self.state = seed & 0xFFFFFFFF

    def __call__(self) -> float:
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return self.state / 2**32

    def below(self, limit: int) -> int:
        return int(self() * limit)


def updates(draw: Draw, count: int, length: int, liars: int = 0) -> list[dict]:
    """Updates around 0.3 with values in a range of 2; the first `liars` are six times as large."""
    drawn = []
    for index in range(count):
        update = {
            "samples": 1 + draw.below(9),
            "steps": 1 + draw.below(7),
            "initialLoss": 0.1 + draw(),
            "staleness": draw.below(5),
        }
        scale = 6 if index < liars else 1
        values = [scale * (2 * draw() - 0.7) for _ in range(length)]
        update["values"] = np.array(values, dtype=np.float32).astype(np.float64)
        drawn.append(update)
    return drawn


def rounded(vector) -> list[float]:
    return [float(f"{value:.9g}") for value in np.asarray(vector, dtype=np.float64)]

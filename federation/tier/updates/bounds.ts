// How large the numbers may be that a participant reports. Sums over a whole fleet stay finite below these, and no
// data set or metric comes near them.

/** Of an update or an evaluation. */
export const MAXIMUM_SAMPLES = 1e9

/** Optimiser steps behind an update. */
export const MAXIMUM_STEPS = 1e9

/** Largest absolute value of a loss or metric. */
export const MAXIMUM_METRIC = 1e12

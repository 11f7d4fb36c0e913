/*
 * Every operator with a gradient belongs to a family of cases that are drawn at random.
 */
import type { Family } from '../node-case.ts'
import { elementwise } from './elementwise.ts'
import { gathers } from './gathers.ts'
import { imageNormalizations } from './image-normalizations.ts'
import { movers } from './movers.ts'
import { products } from './products.ts'
import { recurrent } from './recurrent.ts'
import { reductions } from './reductions.ts'
import { windows } from './windows.ts'

export const FAMILIES: readonly Family[] = [
  ...elementwise,
  ...reductions,
  ...products,
  ...movers,
  ...gathers,
  ...imageNormalizations,
  ...windows,
  ...recurrent,
]

// What becomes of an update that comes when its round is closed: from a node that was slow, or away. docs/api.md says in which
// round it counts.
import { z } from 'zod'
import { TIERED_STRATEGIES } from './hierarchy.ts'
import { rule, type Rule } from './rules.ts'

export const LateUpdates = z
  .enum(['Drop', 'Carry', 'Discount'])
  .default('Drop')
  .describe(
    'What becomes of an update that comes when its round is closed. Drop: nothing, and a node gives up what it trains for a closed round. Carry: it counts in the next round that collects, up to 9 rounds later, and a node goes on with what it trains. Discount: likewise, its weight divided by the square root of 1 + the rounds between. Cannot be changed.',
  )

const strategy = 'self.aggregation.strategy.type'

/** Rules on the whole spec. A sum of weighted updates may hold old ones; what remembers nodes or compares updates may not. */
export const lateUpdatesRules: Rule[] = [
  rule(
    'self.lateUpdates == oldSelf.lateUpdates',
    'lateUpdates cannot be changed: create another FederatedRound',
    { fieldPath: '.lateUpdates' },
  ),
  rule(
    `self.lateUpdates == 'Drop' || ${strategy} in [${TIERED_STRATEGIES.map((type) => `'${type}'`).join(', ')}]`,
    `this strategy goes with lateUpdates Drop only: Carry and Discount go with ${TIERED_STRATEGIES.join(', ')}`,
    { fieldPath: '.lateUpdates', value: strategy },
  ),
]

// How updates travel from the nodes to the hub, and parameters from the hub to the nodes. The codecs, their errors and their bytes are in federation/tensors.
import { z } from 'zod'
import { goesWithItsType } from './members.ts'
import { rule, validations } from './rules.ts'

const rank = z
  .int()
  .min(0)
  .max(32)
  .default(16)
  .describe('Largest rank of the part of a matrix that is sent as factors; 0 switches that off.')
const fraction = z
  .number()
  .gt(0)
  .lt(1)
  .default(0.01)
  .meta(validations(rule('self >= 0.00001 && self <= 0.5', 'must be from 0.00001 to 0.5')))
  .describe('Share of the values that are sent.')

const Codec = z
  .object({
    type: z
      .enum(['Float32', 'Float16', 'Int8', 'Int4', 'TopK', 'SparseTernary'])
      .default('Float32')
      .describe(
        'Float32: exact. Float16: half of the bytes. Int8 and Int4: unbiased rounding, relative error of about 0.015 and 0.1. TopK: the largest values. SparseTernary: the signs of the largest values.',
      ),
    int8: z.object({ rank }).optional().describe('Parameters of type Int8.'),
    int4: z.object({ rank }).optional().describe('Parameters of type Int4.'),
    topK: z.object({ fraction }).optional().describe('Parameters of type TopK.'),
    sparseTernary: z.object({ fraction }).optional().describe('Parameters of type SparseTernary.'),
  })
  .meta(validations(...goesWithItsType('Int8', 'Int4', 'TopK', 'SparseTernary')))
  .prefault({})
  .describe('How an update is encoded.')

const Upload = z
  .object({
    codec: Codec,
    errorFeedback: z
      .boolean()
      .default(false)
      .describe(
        'True: what an encoding left out is kept on the node and added to its next update. Needed by TopK and SparseTernary.',
      ),
  })
  .meta(
    validations(
      rule(
        "!has(self.codec) || !(self.codec.type in ['TopK', 'SparseTernary']) || self.errorFeedback",
        'TopK and SparseTernary leave most values out: they need errorFeedback: true',
        { fieldPath: '.errorFeedback', value: 'self.codec.type' },
      ),
      rule(
        "!has(self.codec) || self.codec.type != 'Float32' || !self.errorFeedback",
        'Float32 is exact: there is nothing to feed back',
        { fieldPath: '.errorFeedback' },
      ),
    ),
  )
  .prefault({})
  .describe('From the nodes to the hub.')

export const Transfer = z
  .object({
    upload: Upload,
    download: z
      .object({
        type: z
          .enum(['Full', 'Delta'])
          .default('Full')
          .describe(
            'Full: nodes fetch all parameters. Delta: nodes that have the parameters of the round before fetch the lossless difference; the hub takes a moment longer for each round.',
          ),
      })
      .prefault({})
      .describe('From the hub to the nodes.'),
    linkFraction: z
      .number()
      .gt(0)
      .max(1)
      .meta(validations(rule('self >= 0.001', 'must be from 0.001 to 1')))
      .optional()
      .describe(
        "Share of a node's link (link.bandwidth of its DeviceProfile) that the campaign's uploads take together, and each download; at least 1 KiB/s. An edge controller keeps to the share of its node, or, where that does not train, to the least of its zone. Absent: all of it.",
      ),
  })
  .prefault({})
  .describe('How updates and parameters travel. Cannot be changed.')

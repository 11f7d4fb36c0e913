import { describe, expect, it } from 'vitest'
import { Pacer } from './pacer.ts'

describe('a sender at 1000 bytes a second', () => {
  it.each([
    {
      name: 'waits after each piece',
      sent: [
        [0, 500],
        [400, 500],
      ],
      waits: [400, 500],
    },
    {
      name: 'makes up for what was lost within a tenth of a second',
      sent: [
        [0, 500],
        [460, 500],
      ],
      waits: [400, 440],
    },
    {
      name: 'does not make up for a long pause',
      sent: [
        [0, 500],
        [60_000, 500],
      ],
      waits: [400, 400],
    },
    { name: 'waits longer after more bytes', sent: [[0, 3000]], waits: [2900] },
    {
      name: 'does not wait when it was slow',
      sent: [
        [0, 100],
        [200, 50],
      ],
      waits: [0, 0],
    },
  ])('$name', ({ sent, waits }) => {
    const pacer = new Pacer(1000)
    expect(sent.map(([nowMs = 0, bytes = 0]) => pacer.waitMs(bytes, nowMs))).toEqual(waits)
  })

  it('sends at most its rate and a tenth over any number of seconds', () => {
    const pacer = new Pacer(1000)
    let [now, total] = [0, 0]
    while (now < 20_000) {
      total += pacer.pieceBytes
      now += pacer.waitMs(pacer.pieceBytes, now)
    }
    expect(total).toBeLessThanOrEqual(1000 * 20 + 100 + pacer.pieceBytes)
    expect(total).toBeGreaterThanOrEqual(1000 * 20 - pacer.pieceBytes)
  })
})

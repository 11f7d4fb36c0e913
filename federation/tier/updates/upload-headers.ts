// What an upload announces in its headers, checked before a byte of its body is read.
import type { IncomingHttpHeaders } from 'node:http'
import { isDigest } from '#federation/wire/digest.ts'
import { MAXIMUM_BLOB_BYTES, MAXIMUM_CHUNK_BYTES, UPLOAD_HEADERS } from '#federation/wire/names.ts'
import { MAXIMUM_METRIC, MAXIMUM_SAMPLES, MAXIMUM_STEPS } from './bounds.ts'
import { TierError, type ErrorKind } from '../serving/errors.ts'

/** Which bytes come. */
export interface Transfer {
  readonly offset: number
  readonly length: number
  readonly digest: string
  readonly parameters: string
}

/** Of a node's update; what stands behind an intermediate update its offer says. */
export interface Announcement extends Transfer {
  readonly samples: number
  readonly steps: number
  readonly loss: number
  readonly initialLoss?: number
}

export function readTransfer(headers: IncomingHttpHeaders): Transfer {
  const length = integer(headers, UPLOAD_HEADERS.length, { minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
  if (length > MAXIMUM_BLOB_BYTES) {
    throw new TierError(
      'tooLarge',
      'UpdateTooLarge',
      `the update has ${length} bytes; at most ${MAXIMUM_BLOB_BYTES} are taken`,
    )
  }
  const offset = integer(headers, UPLOAD_HEADERS.offset, { minimum: 0, maximum: length })
  const body = headers['content-length']
  const room = Math.min(MAXIMUM_CHUNK_BYTES, length - offset)
  if (body !== undefined && Number(body) > room) {
    throw new TierError(
      'tooLarge',
      'BodyTooLarge',
      `the body has ${body} bytes; at most ${room} may follow here`,
    )
  }
  return {
    offset,
    length,
    digest: announcedDigest(headers),
    parameters: digest(headers, UPLOAD_HEADERS.parameters),
  }
}

export function readAnnouncement(headers: IncomingHttpHeaders): Announcement {
  const initialLoss =
    headers[UPLOAD_HEADERS.initialLoss] === undefined
      ? {}
      : { initialLoss: finiteNumber(headers, UPLOAD_HEADERS.initialLoss) }
  return {
    ...readTransfer(headers),
    samples: integer(headers, UPLOAD_HEADERS.samples, { minimum: 1, maximum: MAXIMUM_SAMPLES }, 'refused'),
    steps: integer(headers, UPLOAD_HEADERS.steps, { minimum: 1, maximum: MAXIMUM_STEPS }, 'refused'),
    loss: finiteNumber(headers, UPLOAD_HEADERS.loss),
    ...initialLoss,
  }
}

export function announcedDigest(headers: IncomingHttpHeaders): string {
  return digest(headers, UPLOAD_HEADERS.digest)
}

/** Digest of the offer whose members the update holds; undefined for a node's own update. */
export function announcedMembers(headers: IncomingHttpHeaders): string | undefined {
  return headers[UPLOAD_HEADERS.members] === undefined ? undefined : digest(headers, UPLOAD_HEADERS.members)
}

function digest(headers: IncomingHttpHeaders, name: string): string {
  const value = text(headers, name)
  if (isDigest(value)) return value
  throw bad(name, value, 'sha256:<64 hex>')
}

function integer(
  headers: IncomingHttpHeaders,
  name: string,
  bounds: { minimum: number; maximum: number },
  kind: ErrorKind = 'invalid',
): number {
  const value = text(headers, name)
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (number >= bounds.minimum && number <= bounds.maximum) return number
  throw bad(name, value, `a whole number from ${bounds.minimum} to ${bounds.maximum}`, kind)
}

function finiteNumber(headers: IncomingHttpHeaders, name: string): number {
  const value = text(headers, name)
  const number = value.trim() === '' ? Number.NaN : Number(value)
  if (Math.abs(number) <= MAXIMUM_METRIC) return number
  throw bad(name, value, `a finite number of at most ±${MAXIMUM_METRIC}`, 'refused')
}

function text(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name]
  return typeof value === 'string' ? value : ''
}

function bad(name: string, value: string, wanted: string, kind: ErrorKind = 'invalid'): TierError {
  const reason = kind === 'refused' ? 'UpdateRefused' : 'HeaderInvalid'
  return new TierError(kind, reason, `header ${name} is "${value.slice(0, 100)}"; expected ${wanted}`)
}
